"""Discrete units of speech with durations, their operating point, and codec codes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from slmcore.checks import described, whole
from slmcore.errors import must

__all__ = ["Codes", "OperatingPoint", "Units"]


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Operating point of units on the (k, lambda) plane. None is unknown and is compatible with everything."""

    zoo: str
    """Name of the zoo, e.g. "dp-slm" or "demo"."""
    encoder: str | None = None
    """Name of the feature encoder, e.g. "wavlm_large"."""
    layer: int | None = None
    """Encoder block whose output is quantised, 1-based."""
    k: int | None = None
    """Number of codes in the codebook."""
    lmbda: float | None = None
    """Weight of the duration penalty, in squared feature units; 0 is nearest code."""
    num_neighbors: int | None = None
    """Number of nearest codes to which a frame may be assigned; k is all of them."""

    def conflicts(self, other: OperatingPoint) -> list[str]:
        """Return the fields on which both are known and disagree, as `name: mine != theirs`."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{name}: {a} != {b}" for name, a, b in pairs if a is not None and b is not None and a != b]

    def check_compatible(self, other: OperatingPoint | None, what: str) -> None:
        """Raise a ValueError that names `what` if the two points contradict each other."""
        conflicts = [] if other is None else self.conflicts(other)
        if conflicts:
            raise ValueError(f"{what} do not belong together ({'; '.join(conflicts)}). {_remedy(conflicts)}")

    def to_json(self) -> str:
        """Return the point as one line of JSON, for metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> OperatingPoint:
        """Parse the output of `to_json`; a ValueError for anything else."""
        values = json.loads(text)
        known = {f.name for f in fields(cls)}
        if not isinstance(values, dict) or not isinstance(values.get("zoo"), str) or set(values) - known:
            raise ValueError(must("operating_point", f"a JSON object with `zoo` and keys of {sorted(known)}", text))
        types = {"zoo": (str,), "encoder": (str,), "lmbda": (int, float)}
        for name, value in values.items():
            if value is not None and type(value) not in types.get(name, (int,)):
                raise ValueError(must(name, "null, or of the field's type", value, "It is in an operating point."))
        return cls(**values)


def _remedy(conflicts: list[str]) -> str:
    if conflicts[0].startswith("zoo:"):
        return "Load both from one zoo. A registry must call its zoo by the name that its files were made under."
    return "Load both at one operating point."


@dataclass(frozen=True, eq=False)
class Units:
    """Deduplicated units of an utterance, each with its duration in frames.

    `units`: int64 (n,); `durations`: int64 (n,), frames >= 1; `frame_rate`: frames per second.
    """

    units: Tensor
    durations: Tensor
    frame_rate: float
    operating_point: OperatingPoint | None = None

    def __post_init__(self) -> None:
        for name in ("units", "durations"):
            value: Any = getattr(self, name)
            if not isinstance(value, Tensor) or value.dtype != torch.int64 or value.ndim != 1:
                raise ValueError(must(name, "an int64 tensor (n,)", described(value)))
        if self.units.shape != self.durations.shape:
            raise ValueError(must("durations", f"as long as units ({len(self.units)})", len(self.durations)))
        # Values on a GPU are not checked: that would wait for the device, once per utterance.
        if not self.units.is_cuda and len(self.units) and (int(self.units.min()) < 0 or int(self.durations.min()) < 1):
            raise ValueError("`units` must be >= 0 and `durations` >= 1 frame, but a smaller value was found.")
        if not self.frame_rate > 0:
            raise ValueError(must("frame_rate", "a number of frames per second > 0", self.frame_rate))

    def __len__(self) -> int:
        return len(self.units)

    @property
    def seconds(self) -> float:
        """Total duration of the units, seconds."""
        return int(self.durations.sum()) / self.frame_rate

    def framewise(self) -> Tensor:
        """Return one unit per frame: int64 (durations.sum(),)."""
        return torch.repeat_interleave(self.units, self.durations)

    def boundaries(self) -> Tensor:
        """Return the start of each unit and the end of the last, in seconds: float64 (n + 1,)."""
        ends = self.durations.cumsum(0).double() / self.frame_rate
        return torch.cat([ends.new_zeros(1), ends])

    @classmethod
    def from_framewise(
        cls, framewise: Tensor, frame_rate: float, operating_point: OperatingPoint | None = None
    ) -> Units:
        """Deduplicate framewise units (T,) to units and durations."""
        units, durations = torch.unique_consecutive(framewise.long(), return_counts=True)
        return cls(units, durations, frame_rate, operating_point)


@dataclass(frozen=True, eq=False)
class Codes:
    """Codec codes of one utterance, one row per codebook, the coarsest first.

    `codes`: int64 (codebooks, frames); `frame_rate`: frames per second; `codebook_size`: codes in each codebook.
    """

    codes: Tensor
    frame_rate: float
    codebook_size: int

    def __post_init__(self) -> None:
        value: Any = self.codes
        if not isinstance(value, Tensor) or value.dtype != torch.int64 or value.ndim != 2 or not len(value):
            raise ValueError(must("codes", "an int64 tensor (codebooks, frames)", described(value)))
        object.__setattr__(self, "codebook_size", whole("codebook_size", self.codebook_size, 1))
        if not self.frame_rate > 0:
            raise ValueError(must("frame_rate", "a number of frames per second > 0", self.frame_rate))
        if not value.is_cuda and value.numel() and not 0 <= int(value.min()) <= int(value.max()) < self.codebook_size:
            found = f"a tensor with values from {int(value.min())} to {int(value.max())}"
            raise ValueError(must("codes", f"from 0 to {self.codebook_size - 1}", found))

    def __len__(self) -> int:
        return self.codes.shape[1]

    @property
    def num_codebooks(self) -> int:
        """Number of codes per frame."""
        return len(self.codes)

    @property
    def seconds(self) -> float:
        """Duration of the coded audio, rounded up to whole frames."""
        return len(self) / self.frame_rate

    @property
    def bits_per_second(self) -> float:
        """Bit rate of codes stored with equally many bits each."""
        return self.num_codebooks * self.frame_rate * math.log2(self.codebook_size)

    def levels(self, number: int) -> Codes:
        """Return the codes of the first `number` codebooks."""
        if not 1 <= number <= self.num_codebooks:
            raise ValueError(must("number", f"from 1 to {self.num_codebooks} codebooks", number))
        return Codes(self.codes[:number], self.frame_rate, self.codebook_size)

    def check_made_by(self, codebooks: int, size: int, frame_rate: float) -> None:
        """Raise a ValueError unless a codec of `codebooks` codebooks of `size` at `frame_rate` Hz can decode these."""
        if self.num_codebooks > codebooks:
            raise ValueError(must("codes", f"of at most {codebooks} codebooks", f"a tensor of {self.num_codebooks}"))
        mine, its = (self.codebook_size, self.frame_rate), (size, frame_rate)
        if mine != its:
            found = f"a sequence of {mine[0]} codes at {mine[1]:g} Hz"
            raise ValueError(must("codes", f"of {its[0]} codes at {its[1]:g} Hz", found, "Another codec made them."))
