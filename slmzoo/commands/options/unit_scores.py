"""Options of the evaluations of units: phones, ABX, and information about text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.arguments import flag
from slmzoo.commands.options.common import (
    DeviceOptions,
    ModelOptions,
    SeedOptions,
)
from slmzoo.commands.options.report import ReportOptions

__all__ = ["AbxOptions", "OnUnitsOptions", "TextInformationOptions", "UnitScoresOptions"]


@dataclass(frozen=True, kw_only=True)
class OnUnitsOptions(ModelOptions, ReportOptions):
    """Evaluations of units."""

    title: ClassVar[str] = "data"

    data: Path = field(positional=True, metavar="DATA")
    """Folder of recordings, named by their stems, or of units with --shards."""
    shards: bool = flag()
    """DATA holds shards of units, as `slmzoo units --out` writes them, in place of audio."""


@dataclass(frozen=True, kw_only=True)
class UnitScoresOptions(OnUnitsOptions):
    """Compute bit rate, units per second and codebook use; with alignments also purities, mutual information and
    boundaries.
    """

    title: ClassVar[str] = "alignments"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval units speech/ --zoo demo",
        "slmzoo eval units shards/ --shards --alignments textgrids/",
    )

    alignments: Path | None = field(default=None, metavar="DIR")
    """Folder of TextGrids, named by the stems of their recordings."""
    tier: str = "phones"
    """Tier of the phones."""
    tolerance: float = 0.02
    """Largest distance in seconds between a unit boundary and a phone boundary that match."""
    convention: Literal["slmzoo", "gslm"] = "slmzoo"
    """Entropy of the bit rate: that of the units of DATA, or GSLM's, of its HuBERT or CPC units of Libri-light."""


@dataclass(frozen=True, kw_only=True)
class AbxOptions(SeedOptions, OnUnitsOptions):
    """Compute ABX error rates within and across speakers on features of the encoder or on units."""

    title: ClassVar[str] = "task"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval abx speech/ --item phones.item --zoo demo",
        "slmzoo eval abx speech/ --item phones.item --on units --context any",
    )

    item: Path = field(metavar="FILE")
    """Item file: `#file onset offset #phone prev-phone next-phone speaker`, times in seconds."""
    on: Literal["features", "units"] = "features"
    """Representation: frames of the encoder's features (angular distance), or units (identical or not)."""
    speakers: list[str] = field(default_factory=lambda: ["within", "across"], choices=["within", "across"])
    """Whether X is spoken by the speaker of A and B, or by another one."""
    context: Literal["within", "any"] = "within"
    """Whether the neighbouring phones must be the same, or do not matter."""
    most: int = 10
    """Most items of one context, speaker and phone."""
    most_speakers: int = 5
    """Most speakers of X for one A, across speakers."""
    layer: int | None = None
    """Layer of the features; that of the codebook if left out."""


@dataclass(frozen=True, kw_only=True)
class TextInformationOptions(SeedOptions, DeviceOptions, ReportOptions):
    """Bound the mutual information of framewise units and characters or phones: vCLUB with a recogniser trained on
    units.
    """

    title: ClassVar[str] = "data"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval text-information shards/train shards/test --transcripts said.tsv",
    )

    train: Path = field(positional=True, metavar="TRAIN")
    """Shards of units to train the recogniser on, as `slmzoo units --out` writes them."""
    test: Path = field(positional=True, metavar="TEST")
    """Shards of units to measure."""
    transcripts: Path | None = None
    """Text of both: a file of `<id> <text>` lines, or a folder of such .tsv or .txt files."""
    alignments: Path | None = field(default=None, metavar="DIR")
    """Phones in place of characters: a folder of TextGrids of both."""
    tier: str = "phones"
    """Tier of the phones."""
    steps: int = 200_000
    """Training steps."""
    hidden: int = 1024
    """Width of the recogniser's embedding and of its two layers, in each direction."""
    batch: int = 32
    """Recordings per training step."""
    lr: float = 1e-4
    """Learning rate."""
    against: int | None = None
    """Texts that each recording is compared with, drawn with --seed; all if left out, at quadratic cost."""
