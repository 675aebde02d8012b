"""Log-mel filter banks as Kaldi computes them, the baseline among GSLM's encoders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.audio.checks import whole_rate
from slmcore.encoders.waveforms import prepare
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.units import OperatingPoint

__all__ = ["LogMel", "load"]

_BANDS = 80
_FRAME_MS, _SHIFT_MS = 25.0, 10.0


class LogMel(Saved):
    """Natural logarithms of the power in 80 mel bands from 20 Hz up, 100 frames of 25 ms per second.

    Samples are in -1..1, not scaled to 16 bits, and no mean is subtracted, as in GSLM. `resample=False` computes them
    at the rate of the waveform, as GSLM's reader does, whose bands then reach up to half of that rate; the published
    codebooks are of audio at 16 kHz.
    """

    entry_point = "log_mel"
    sample_rate = 16_000
    frame_rate = 100.0
    dim = _BANDS
    num_layers = 0

    def __init__(self, resample: bool = True, operating_point: OperatingPoint | None = None) -> None:
        super().__init__()
        self.resample, self.operating_point = resample, operating_point
        # A module without weights: this is the device of its results.
        self.register_buffer("_place", torch.zeros(0), persistent=False)

    @property
    def device(self) -> torch.device:
        """Device of the features."""
        return self._place.device  # pyright: ignore[reportReturnType]

    @torch.no_grad()
    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        """Features of one utterance: `wav` (1, samples) in -1..1 at `sr` Hz -> float32 (frames, 80).

        `layer` must be None. Raises TypeError or ValueError for a `wav` that cannot be used, and for less than 25 ms.
        """
        if layer is not None:
            raise ValueError(must("layer", "None for log-mel features, which have no layers", layer))
        from torchaudio.compliance.kaldi import fbank

        rate = self.sample_rate if self.resample else whole_rate(sr)
        ready = prepare(wav, sr, rate, _FRAME_MS / 1000).to(self.device)
        return fbank(
            ready[None],
            num_mel_bins=_BANDS,
            frame_length=_FRAME_MS,
            frame_shift=_SHIFT_MS,
            sample_frequency=rate,
            dither=0.0,
        )

    def features_batch(
        self, wavs: Sequence[Tensor], sr: int, layer: int | None = None, seconds: float = math.inf
    ) -> list[Tensor]:
        """Features of several utterances, one after another; `seconds` has no effect."""
        return [self.features(wav, sr, layer) for wav in wavs]

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> LogMel:
        """The filter bank of a checkpoint of kind "log_mel"."""
        return cls(**checkpoint.config, operating_point=checkpoint.operating_point).eval()

    @classmethod
    def from_pretrained(cls, path: str | Path) -> LogMel:
        """Load saved settings: a file, a folder with one, or `hf://owner/repo`."""
        return load(weights_file(path))

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """The settings as a checkpoint without weights."""
        point = self.operating_point
        config = {"resample": self.resample}
        return Checkpoint(
            kind="log_mel", config=config, state={}, operating_point=point, provenance=dict(provenance or {})
        )


def load(path: str | Path) -> LogMel:
    """The filter bank of a file of the project (`.safetensors`)."""
    return LogMel.from_checkpoint(read(path, "log_mel", _none_published))


def _none_published(_obj: Any) -> Checkpoint:
    raise CheckpointError("Log-mel features have no published file.")
