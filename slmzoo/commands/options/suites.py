"""Options of whole suites: over operating points, and on the small benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import ClassVar

from simple_parsing import field

from slmzoo.commands.options.common import (
    PrecisionOptions,
    SeedOptions,
    SynthesisOptions,
    ZooOptions,
)
from slmzoo.commands.options.report import ReportOptions

__all__ = ["MiniOptions", "SweepOptions"]


@dataclass(frozen=True, kw_only=True)
class SweepOptions(SeedOptions, ZooOptions, PrecisionOptions, ReportOptions):
    """Evaluate units at many operating points. The same command resumes an interrupted sweep.

    Each k is measured at each lambda, or at those of --points: bit rate and codebook use; with --alignments purities
    and boundaries; with --item ABX on units; with --transcripts word errors of greedy resynthesis, which needs an
    acoustic model at each point.
    """

    title: ClassVar[str] = "data"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval sweep speech/ --k 100 200 500 --lmbda 0 1500 5000",
        "slmzoo eval sweep speech/ --points 100:0 500:4500 --alignments textgrids/",
    )

    data: Path = field(positional=True, metavar="DATA")
    """Folder of recordings, named by their stems."""
    k: list[int] = default(default_factory=list)
    """Numbers of codes."""
    lmbda: list[float] = default(default_factory=list)
    """Weights of the duration penalty."""
    points: list[str] = field(default_factory=list, metavar="K:LMBDA")
    """Operating points, in place of --k and --lmbda."""
    variant: str | None = None
    """Family of the models where the zoo has several: the features of gslm's (hubert, cpc, w2v2, logmel)."""
    alignments: Path | None = field(default=None, metavar="DIR")
    """Folder of TextGrids, named by the stems of their recordings."""
    tier: str = "phones"
    """Tier of the phones."""
    item: Path | None = field(default=None, metavar="FILE")
    """Item file of the ABX task."""
    transcripts: Path | None = None
    """Text of the recordings: a file of `<id> <text>` lines, or a folder of such .tsv or .txt files."""
    asr: str = "pocketsphinx"
    """Recogniser: pocketsphinx, whisper (tiny.en, for real speech), a folder of a Whisper in CTranslate2's format, or a
    Whisper or CTC model of transformers by name or folder."""


@dataclass(frozen=True, kw_only=True)
class MiniOptions(SeedOptions, SynthesisOptions, ReportOptions):
    """Run the whole suite on a small benchmark that flite speaks: words, sentences, units, ABX, resynthesis and
    generation; mini.json has all scores.

    Each part has its own folder in OUT, with its items. The recogniser is pocketsphinx, the text model a trigram of
    the demo's own sentences: the figures tell systems apart, and cannot be compared with published ones.
    """

    title: ClassVar[str] = "benchmark"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo eval mini --zoo demo --out mini",)

    most: int | None = None
    """Items of each kind; all if left out."""
    temperatures: tuple[float, ...] = (0.5, 1.0, 1.5)
    """Temperatures of the generated speech."""
