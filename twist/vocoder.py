"""The unit HiFi-GAN (Polyak et al. 2021, arXiv 2104.00355): units, a speaker and a style to speech.

One module for the vocoders of TWIST, Expresso and fairseq's speech-to-speech translation, and those trained here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from slmcore.batching import batches
from slmcore.errors import must
from slmcore.files.archives import opened
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.hifigan import HiFiGAN
from slmcore.roles import UnitSequence
from slmcore.speech import Speech
from slmcore.units import OperatingPoint, Units
from twist.durations import DurationPredictor
from twist.frames import FrameEmbedding
from twist.published import NAMES, config_beside, names_in, published, read_config
from twist.vocoder_config import VocoderConfig

__all__ = ["UnitVocoder", "load"]

_SEGMENT_SECONDS = 20.0
"""Longer speech is generated in segments."""
_FRAMES_AT_ONCE = 8192
"""Padded frames of a batch on a GPU. On a CPU several utterances at once are no faster."""


class UnitVocoder(Saved):
    """Units to speech, by HiFi-GAN; where it has a duration predictor, units without durations can be spoken too.

    `vocoder(code, ...)` is the published call; `speak` that of every synthesiser. Tables and durations stay in float32
    under `.half()` and `.to(torch.bfloat16)`.
    """

    kind = "unit_hifigan"
    entry_point = "unit_hifigan"

    longest_segment = 100.0
    """Longest utterance in seconds that is encoded and spoken as a whole: the published encoder's segment."""

    def __init__(self, config: VocoderConfig, operating_point: OperatingPoint | None = None) -> None:
        super().__init__()
        self.config, self.operating_point = config, operating_point
        self.frames = FrameEmbedding(config)
        width = config.duration_width
        self.durations = DurationPredictor(config.dim, width, config.duration_kernel) if width else None
        self.generator = HiFiGAN(config.generator)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> UnitVocoder:
        """Build the vocoder that a checkpoint describes; CheckpointError if it does not fit."""
        config = VocoderConfig.from_dict(checkpoint.config)
        return build(lambda: cls(config, checkpoint.operating_point), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> UnitVocoder:
        """Load a published or saved vocoder from its file or folder, as `load` does.

        Example: `UnitVocoder.from_pretrained("hifigan_lj_mhubert_base_25hz.pt").speak([[17, 3, 250]])[0].wav`
        """
        return load(path)

    @property
    def k(self) -> int:
        """Number of units."""
        return self.config.num_units

    @property
    def sample_rate(self) -> int:
        """Hz of the speech."""
        return self.config.sample_rate

    @property
    def frame_rate(self) -> float:
        """Frames per second of the units."""
        return self.sample_rate / self.generator.config.hop

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers, first row first; empty if unknown."""
        return self.config.speakers

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles, first row first; empty if unknown."""
        return self.config.styles

    @torch.no_grad()
    def forward(
        self,
        code: Tensor,
        speaker_id: int | str = 0,
        style_id: int | str = 0,
        f0: Tensor | None = None,
        dur_prediction: bool = False,
    ) -> Tensor:
        """Return a waveform (samples,), float32, of units `code` (n,) or (1, n), int64; negative ones are dropped.

        With `dur_prediction` each unit lasts as long as predicted, otherwise one frame. `f0` (n,) or (1, n): float, or
        int64 bins, as many as units, or a multiple or divisor of them. Speaker and style are numbers or names; a
        vocoder without them ignores 0. Raises ValueError for an input that the vocoder does not have.
        """
        valid = code.reshape(-1) >= 0
        if f0 is not None and not bool(valid.all()):
            f0 = _where_valid(f0.reshape(-1), valid)
        units = self._checked(code.reshape(-1)[valid])
        frames = self._embedded(units, self._predicted(units) if dur_prediction else None)
        voice = self._speaker(speaker_id or None), self._style(style_id or None)
        return self._waves([self._described(frames, f0, *voice)])[0]

    @torch.no_grad()
    def speak(
        self,
        units: Sequence[UnitSequence],
        *,
        seed: int = 0,
        keep_durations: bool | None = None,
        speaker: int | str | Tensor | None = None,
        style: int | str | None = None,
        f0: Sequence[Tensor] | None = None,
    ) -> list[Speech]:
        """Speak sequences of deduplicated units; the speech of a sequence does not depend on its batch.

        `Units` last as long as their durations say, and other sequences as long as predicted. `keep_durations` True
        demands the former, False predicts for all. Speaker (a number, a name, or an embedding where the vocoder takes
        these) and style are the same for all, by default the first. `f0`: of each sequence. Synthesis is
        deterministic: `seed` has no effect. Raises ValueError for units outside the codebook or of another rate, an
        unknown speaker or style, and units without durations where none can be predicted.
        """
        ids = [self._checked(torch.as_tensor(each.units if isinstance(each, Units) else each)) for each in units]
        durations = [self._durations(a, b, keep_durations) for a, b in zip(units, ids, strict=True)]
        voice = self._speaker(speaker), self._style(style)
        pitches = [None] * len(ids) if f0 is None else f0
        described = [
            self._described(self._embedded(each, lasting), pitch, *voice)
            for each, lasting, pitch in zip(ids, durations, pitches, strict=True)
        ]
        wavs = self._waves(described)
        return [self._speech(*parts) for parts in zip(units, durations, wavs, strict=True)]

    def _checked(self, units: Tensor) -> Tensor:
        if units.ndim != 1 or (units.numel() and (units.is_floating_point() or units.dtype == torch.bool)):
            raise ValueError(must("units", "whole numbers (n,)", f"a {units.dtype} tensor of {tuple(units.shape)}"))
        units = units.long()
        if len(units) and not 0 <= int(units.min()) <= int(units.max()) < self.k:
            found = f"a sequence of units from {int(units.min())} to {int(units.max())}"
            raise ValueError(must("units", f"from 0 to {self.k - 1}, the vocoder's codebook", found))
        return units.to(self.device)

    def _durations(self, given: UnitSequence, units: Tensor, keep: bool | None) -> Tensor:
        if isinstance(given, Units) and given.frame_rate != self.frame_rate:
            found = f"a sequence at {given.frame_rate:g} Hz"
            raise ValueError(must("units", f"at {self.frame_rate:g} frames per second", found))
        if isinstance(given, Units) and keep is not False:
            return given.durations.to(self.device)
        if keep or self.durations is None:
            remedy = "" if keep else "This vocoder predicts no durations."
            raise ValueError(must("units", "Units with durations", "a sequence without, or not to be kept", remedy))
        return self._predicted(units)

    def _predicted(self, units: Tensor) -> Tensor:
        if self.durations is None:
            raise ValueError(must("dur_prediction", "False for a vocoder without a duration predictor", True))
        if not len(units):
            return units
        return self.durations.durations(self.frames.units(units).unsqueeze(0)).squeeze(0)

    def _embedded(self, units: Tensor, durations: Tensor | None) -> Tensor:
        """Embedded frames (T, dim) of units (n,)."""
        frames = units if durations is None else units.repeat_interleave(durations)
        return self.frames.units(frames)

    def _speaker(self, wanted: int | str | Tensor | None) -> Tensor:
        size = self.config.speaker_dim
        if not size:
            return torch.tensor([self.config.row("speaker", wanted)], device=self.device)  # pyright: ignore[reportArgumentType]
        if not isinstance(wanted, Tensor) or wanted.numel() != size:
            shown = f"a tensor of {tuple(wanted.shape)}" if isinstance(wanted, Tensor) else wanted
            raise ValueError(must("speaker", f"an embedding ({size},)", shown))
        return wanted.reshape(1, size).to(self.device, torch.float32)

    def _style(self, wanted: int | str | None) -> Tensor:
        return torch.tensor([self.config.row("style", wanted)], device=self.device)

    def _described(self, units: Tensor, f0: Tensor | None, speaker: Tensor, style: Tensor) -> Tensor:
        """Frames (in_channels, T) of embedded units (T, dim)."""
        if (f0 is not None) != self.config.f0:
            needed = "given: this vocoder reads it" if self.config.f0 else "left out: this vocoder does not read it"
            raise ValueError(must("f0", needed, None if f0 is None else "a tensor"))
        if not len(units):
            return units.new_zeros(self.config.in_channels, 0)
        if f0 is not None:
            f0 = self._bins(f0.reshape(1, -1).to(self.device)) if self.config.f0_bins else f0.reshape(1, -1).to(units)
        return self.frames(units.unsqueeze(0), f0, speaker, style).squeeze(0)

    def _bins(self, f0: Tensor) -> Tensor:
        most = self.config.f0_bins - 1
        if f0.is_floating_point() or not 0 <= int(f0.min()) <= int(f0.max()) <= most:
            found = f"a {f0.dtype} tensor from {f0.min().item():g} to {f0.max().item():g}"
            raise ValueError(must("f0", f"whole numbers from 0 to {most}", found))
        return f0.long()

    def _waves(self, frames: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms (samples,) of frames (in_channels, T) each, float32."""
        wavs = [torch.zeros(0, device=self.device)] * len(frames)
        dtype = self.generator.conv_pre.weight.dtype
        lengths = [each.shape[1] for each in frames]
        some = [i for i, length in enumerate(lengths) if length]
        for batch in batches([lengths[i] for i in some], _FRAMES_AT_ONCE if self.device.type != "cpu" else 1):
            made = self._together([frames[some[i]].to(dtype) for i in batch])
            for i, wav in zip(batch, made, strict=True):
                wavs[some[i]] = wav.float()
        return wavs

    def _together(self, frames: Sequence[Tensor]) -> list[Tensor]:
        hop, segment = self.generator.config.hop, max(1, int(_SEGMENT_SECONDS * self.frame_rate))
        if len(frames) == 1:
            return [self.generator.in_segments(frames[0].unsqueeze(0), segment).squeeze(0)]
        lengths = torch.tensor([each.shape[1] for each in frames], device=self.device)
        padded = torch.nn.utils.rnn.pad_sequence([each.mT for each in frames], batch_first=True).mT
        made = self.generator(padded, lengths)
        return [wav[: n * hop] for wav, n in zip(made, lengths.tolist(), strict=True)]

    def _speech(self, given: UnitSequence, durations: Tensor, wav: Tensor) -> Speech:
        wanted = given.seconds if isinstance(given, Units) else None
        none = torch.zeros(0, dtype=torch.int64)
        return Speech(wav[None], self.sample_rate, none, True, durations.cpu(), self.frame_rate, wanted)


def _where_valid(f0: Tensor, valid: Tensor) -> Tensor:
    """Drop the values of f0 (n,) at invalid units."""
    per_unit = len(f0) // len(valid)
    if not per_unit or len(f0) % len(valid):
        raise ValueError(must("f0", f"a multiple of the {len(valid)} units, some of which are invalid", len(f0)))
    return f0[valid.repeat_interleave(per_unit).to(f0.device)]


def load(
    path: str | Path,
    config: str | Path | None = None,
    speakers: str | Path | None = None,
    styles: str | Path | None = None,
) -> UnitVocoder:
    """Load a vocoder: published weights with their config.json, or the project's `.safetensors`.

    `path` is the file, a folder with one, or an archive (zip, tar) of such a folder. `config`, and `speakers` and
    `styles` with their names, are looked for beside the weights where they are not given. Raises FileNotFoundError, or
    CheckpointError for a file that is damaged or of another kind.
    """
    file = weights_file(opened(path))

    beside = config_beside(file) if config is None else read_config(Path(config))
    given = {"speakers": speakers, "styles": styles}
    names = {NAMES[kinds]: names_in(Path(path)) for kinds, path in given.items() if path is not None}
    sizes = None if beside is None else {**beside, **names}
    return UnitVocoder.from_checkpoint(read(file, "unit_hifigan", partial(published, config=sizes)))
