"""Models of a job: one encoder, and a quantiser for each operating point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from slmcore.batching import batches
from slmcore.errors import must
from slmcore.files.digests import read_record, sha256_of
from slmcore.units import OperatingPoint, Units
from slmzoo import __version__, hub, systems
from slmzoo.corpus.stages import BatchEncoder
from slmzoo.kinds import Role
from slmzoo.pipeline import Pipeline

__all__ = ["Coder", "Models", "Settings", "digests_of"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# On a CPU batches only pay for utterances too short to keep a core busy; padding slows all others.
_SECONDS_A_BATCH = {"cpu": 8.0, "cuda": 960.0}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that determines the units of a wav."""

    zoo: str = "dp-slm"
    registry: str | None = None
    variant: str | None = None
    """Family of the models where the zoo has several, such as GSLM's features."""
    points: tuple[tuple[int | None, float | None], ...] = ((None, None),)
    """(k, lambda) of each operating point; None is the zoo's default, as for `hub.pipeline`."""
    device: str = "cpu"
    """"cpu", "cuda" or "cuda:1"."""
    dtype: str = "float32"
    """Precision of the encoder's matrix products; features, distances and codebooks stay float32."""
    codes: bool = False
    """Whether to write codes of all levels of the codec, instead of units."""
    batch_seconds: float | None = None
    """Largest amount of audio per batch, padding included, seconds; by default 8 on a CPU and 960 on a GPU. It never
    depends on free memory: other batches round differently, and a resumed job must write the same bytes."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(must("dtype", f"one of {', '.join(DTYPES)}", self.dtype))
        if self.batch_seconds is not None and not self.batch_seconds > 0:
            raise ValueError(must("batch_seconds", "a number > 0", self.batch_seconds, "Leave it out for the usual."))

    @property
    def device_type(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]

    @property
    def source(self) -> dict[str, Any]:
        """Zoo and registry as keywords of loaders."""
        return {"zoo": self.zoo, "registry": self.registry}

    @property
    def making(self) -> dict[str, str]:
        """Return the provenance of all shards of the job."""
        return {"device": self.device_type, "dtype": self.dtype, "slmzoo": __version__}

    @property
    def usual_batch_seconds(self) -> float:
        """Largest amount of audio per batch, given or the device's default, seconds."""
        return self.batch_seconds or _SECONDS_A_BATCH[self.device_type]


class Coder(BatchEncoder, Protocol):
    """Models of a job in memory: wavs to units or codes."""

    settings: Settings

    @property
    def sample_rate(self) -> int:
        """Sample rate of its input, Hz."""
        ...

    def provenance(self, known: Iterable[Mapping[str, str]] = ()) -> list[dict[str, str]]:
        """Return the provenance of each kind of shard for `slmcore.shards`."""
        ...


class Models:
    """Encoder and quantisers in memory: wavs to units at all points, with features computed once.

    The encoder is loaded on first use: a finished job needs none.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._source = settings.source
        where = hub.Source(**self._source)
        first, *others = (hub.Choice(variant=settings.variant, k=k, lmbda=lmbda) for k, lmbda in settings.points)
        choices = [systems.of(where).choice(where, first, False), *others]
        quantizers: list[Any] = [
            hub.quantizer(variant=choice.variant, k=choice.k, lmbda=choice.lmbda, **self._source) for choice in choices
        ]
        self.quantizers = [quantizer.to(settings.device) for quantizer in quantizers]
        self.points = [q.operating_point or OperatingPoint(zoo=settings.zoo) for q in self.quantizers]
        if len(set(self.points)) < len(self.points) or len({point.layer for point in self.points}) > 1:
            raise ValueError(must("points", "different, and of one layer of the encoder", settings.points))

    @cached_property
    def encoder(self) -> Any:
        """Encoder on the device, up to the layer of the units. Raises ValueError if a quantiser does not fit."""
        encoder: Any = hub.encoder(variant=self.settings.variant, **self._source)
        encoder.to(self.settings.device, DTYPES[self.settings.dtype])
        for quantizer in self.quantizers:
            Pipeline(encoder, quantizer)
        # The blocks above that layer would only take memory, in each process.
        if self.points[0].layer is not None and hasattr(encoder, "keep_layers"):
            encoder.keep_layers(self.points[0].layer)
        return encoder

    @property
    def sample_rate(self) -> int:
        """Sample rate of the encoder's input, Hz."""
        return self.encoder.sample_rate

    @property
    def batch_seconds(self) -> float:
        """Largest amount of audio per batch."""
        return self.settings.usual_batch_seconds

    @torch.no_grad()
    def units(self, wavs: Sequence[Tensor]) -> list[list[Units]]:
        """Encode wavs (1, samples) at the encoder's rate in one batch: units per point and wav."""
        features = self.features(wavs)
        by_point: list[list[Units]] = [[] for _ in self.points]
        for alike in self._sharing_distances():
            for i, units in zip(alike, self._segmented(features, alike), strict=True):
                by_point[i] = [_on_cpu(u, self.points[i]) for u in units]
        return by_point

    def _segmented(self, features: list[Tensor], alike: list[int]) -> list[list[Units]]:
        """Quantise at points that differ in lambda only, sharing distances if the quantiser can."""
        quantizer = self.quantizers[alike[0]]
        if hasattr(quantizer, "sweep"):
            return quantizer.sweep(features, [self.quantizers[i].lmbda for i in alike])
        return [self.quantizers[i].segment(features) for i in alike]

    def features(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """Return the features for the quantisers, float32 (frames, dim) of each wav."""
        return self.encoder.features_batch(wavs, self.encoder.sample_rate, self.points[0].layer)

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Group wavs into batches by their numbers of samples."""
        return list(batches(lengths, self.batch_seconds * self.encoder.sample_rate))

    def provenance(self, known: Iterable[Mapping[str, str]] = ()) -> list[dict[str, str]]:
        """Return the provenance of the units of each point for `slmcore.shards`.

        `known`: an earlier result, which spares loading the encoder for its frame rate.
        """
        digests = [self._digests(point) for point in self.points]
        rates = {_first_digest(made): made.get("frame_rate") for made in known}
        made = (
            {
                **self.settings.making,
                **files,
                "frame_rate": rates.get(_first_digest(files)) or repr(float(self.encoder.frame_rate)),
                "operating_point": point.to_json(),
            }
            for point, files in zip(self.points, digests, strict=True)
        )
        return [dict(sorted(each.items())) for each in made]

    def _digests(self, point: OperatingPoint) -> dict[str, str]:
        """Return the SHA-256 of the files of the models of units, by role."""
        where = hub.Source(**self._source)
        wanted = hub.Choice(variant=self.settings.variant, k=point.k, lmbda=point.lmbda, layer=point.layer)
        return digests_of(where, wanted, *systems.unit_roles(where))

    def _sharing_distances(self) -> list[list[int]]:
        """Group the points by codebook and number of neighbours, as indices."""
        groups: dict[tuple[int | None, int | None], list[int]] = {}
        for i, quantizer in enumerate(self.quantizers):
            groups.setdefault((self.points[i].k, getattr(quantizer, "num_neighbors", None)), []).append(i)
        return list(groups.values())


def digests_of(where: hub.Source, wanted: hub.Choice, *roles: Role) -> dict[str, str]:
    """Return the SHA-256 of the files of the models of `roles`, by role."""
    rows = systems.rows_of(where, wanted, *roles)
    return {f"{systems.kinds()[kind].role}_sha256": _digits(where.path(row)) for kind, row in rows.items()}


def _first_digest(made: Mapping[str, str]) -> str | None:
    """Return the digest of the model whose input is the speech."""
    return made.get("encoder_sha256", made.get("codec_sha256"))


def _on_cpu(units: Units, point: OperatingPoint) -> Units:
    return replace(units, units=units.units.cpu(), durations=units.durations.cpu(), operating_point=point)


def _digits(path: Path) -> str:
    """Return the SHA-256 of a file, from a valid record beside it if there is one."""
    record = read_record(path)
    return record.sha256 if record is not None and record.still_holds(path) else sha256_of(path)
