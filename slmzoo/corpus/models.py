"""The models of a job: one encoder, and a quantiser for each operating point that is wanted of its features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from dpdp import sweep
from slmcore.batching import batches
from slmcore.errors import must
from slmcore.files.digests import read_record, sha256_of
from slmcore.units import OperatingPoint, Units
from slmzoo import __version__, hub
from slmzoo.pipeline import Pipeline
from wavlm_codebooks import WavLM

__all__ = ["Models", "Settings"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# On a CPU batches only pay for utterances that are too short to keep a core busy, padding costs all others.
_SECONDS_A_BATCH = {"cpu": 8.0, "cuda": 960.0}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides which units come of a wav."""

    zoo: str = "dp-slm"
    registry: str | None = None
    points: tuple[tuple[int | None, float | None], ...] = ((None, None),)
    """(k, lambda) of each operating point; None is what the zoo has, as of `hub.pipeline`."""
    device: str = "cpu"
    """"cpu", "cuda" or "cuda:1"."""
    dtype: str = "float32"
    """Of the encoder's matrix products; features, distances and codebooks stay float32."""
    batch_seconds: float | None = None
    """Most audio of a batch, padding included; by default 8 on a CPU and 960 on a GPU. It never follows from the
    memory that is free: other batches round otherwise, and a job that goes on is to leave the same bytes."""

    @property
    def device_type(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]


class Models:
    """Encoder and quantisers in memory: wavs to units at all points, features once.

    The encoder is loaded when it is first needed: a job of which nothing is left to do needs none.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.dtype not in DTYPES:
            raise ValueError(must("dtype", f"one of {', '.join(DTYPES)}", settings.dtype))
        if settings.batch_seconds is not None and not settings.batch_seconds > 0:
            raise ValueError(
                must("batch_seconds", "a number > 0", settings.batch_seconds, "Leave it out for the usual.")
            )
        self.settings = settings
        self._source = {"zoo": settings.zoo, "registry": settings.registry}
        first, *others = settings.points
        points = [hub.default_point(*first, hub.Source(**self._source)), *others]
        found = [hub.quantizer(k=k, lmbda=lmbda, **self._source) for k, lmbda in points]
        self.quantizers = [quantizer.to(settings.device) for quantizer in found]
        self.points = [q.operating_point or OperatingPoint(zoo=settings.zoo) for q in self.quantizers]
        if len(set(self.points)) < len(self.points) or len({point.layer for point in self.points}) > 1:
            raise ValueError(must("points", "different, and of one layer of the encoder", settings.points))

    @cached_property
    def encoder(self) -> WavLM:
        """The encoder, on the device, up to the layer that is wanted. Raises ValueError if a quantiser does not fit."""
        encoder = hub.wavlm(**self._source)[0].to(self.settings.device, DTYPES[self.settings.dtype])
        for quantizer in self.quantizers:
            Pipeline(encoder, quantizer)
        # What lies above the wanted layer would only take memory, in each process anew.
        del encoder.blocks[self.points[0].layer or encoder.num_layers :]
        return encoder

    @property
    def batch_seconds(self) -> float:
        """Most audio of a batch."""
        return self.settings.batch_seconds or _SECONDS_A_BATCH[self.settings.device_type]

    @torch.inference_mode()
    def units(self, wavs: Sequence[Tensor]) -> list[list[Units]]:
        """Units of some wavs (1, samples) at the encoder's rate in one batch: for each point, for each wav."""
        features = self.features(wavs)
        found: list[list[Units]] = [[] for _ in self.points]
        for alike in self._sharing_distances():
            codebook, neighbors = self.quantizers[alike[0]].codebook, self.quantizers[alike[0]].num_neighbors
            lmbdas = [self.quantizers[i].lmbda for i in alike]
            swept = sweep(features, codebook, lmbdas, neighbors, frame_rate=self.encoder.frame_rate)
            for i, units in zip(alike, swept, strict=True):
                found[i] = [_on_cpu(u, self.points[i]) for u in units]
        return found

    def features(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """What the quantisers get: float32 (frames, dim) of each wav."""
        return self.encoder.features_batch(wavs, self.encoder.sample_rate, self.points[0].layer)

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Which wavs to encode together, given their samples."""
        return list(batches(lengths, self.batch_seconds * self.encoder.sample_rate))

    def provenance(self, known: Iterable[Mapping[str, str]] = ()) -> list[dict[str, str]]:
        """How the units of each point are made, as `slmcore.shards` wants to know it.

        `known`: what this returned before, by which the frame rate of an encoder need not be asked of itself.
        """
        source = hub.Source(**self._source)
        encoder = _digits(source.path(source.find("wavlm")))
        rates = {made.get("encoder_sha256"): made.get("frame_rate") for made in known}
        return [
            {
                "codebook_sha256": _digits(source.path(source.find("codebook", k=point.k, layer=point.layer))),
                "device": self.settings.device_type,
                "dtype": self.settings.dtype,
                "encoder_sha256": encoder,
                "frame_rate": rates.get(encoder) or repr(float(self.encoder.frame_rate)),
                "operating_point": point.to_json(),
                "slmzoo": __version__,
            }
            for point in self.points
        ]

    def _sharing_distances(self) -> list[list[int]]:
        """The points by codebook and number of neighbours, as indices."""
        found: dict[tuple[int | None, int | None], list[int]] = {}
        for i, quantizer in enumerate(self.quantizers):
            found.setdefault((self.points[i].k, quantizer.num_neighbors), []).append(i)
        return list(found.values())


def _on_cpu(units: Units, point: OperatingPoint) -> Units:
    return replace(units, units=units.units.cpu(), durations=units.durations.cpu(), operating_point=point)


def _digits(path: Path) -> str:
    """SHA-256 of a file, by the record beside it where that still holds."""
    record = read_record(path)
    return record.sha256 if record is not None and record.still_holds(path) else sha256_of(path)
