"""Options of the evaluations on pairs: `slmzoo eval swuggy`, `sblimp`, `storycloze`, `salmon` and `pairs`."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.commands.options.common import DecodingOptions
from slmzoo.commands.options.report import ReportOptions

__all__ = [
    "ConventionOptions",
    "PairsOptions",
    "PairsTaskOptions",
    "SalmonOptions",
    "SblimpOptions",
    "StoryClozeOptions",
    "SwuggyOptions",
    "ZeroSpeechOptions",
]


@dataclass(frozen=True, kw_only=True)
class PairsTaskOptions(DecodingOptions, ReportOptions):
    """Evaluations on pairs."""

    title: ClassVar[str] = "data"

    data: Path = field(positional=True, metavar="DATA")
    """The data set as it was published."""
    units: Path | None = field(default=None, metavar="DIR")
    """Shards with the units of the recordings, in place of their audio; ids may lack the extension."""
    scores: Path | None = field(default=None, metavar="FILE")
    """A file of `<recording> <score>` lines in place of models."""


@dataclass(frozen=True, kw_only=True)
class ConventionOptions(PairsTaskOptions):
    """Scoring convention."""

    title: ClassVar[str] = "scoring"

    convention: Literal["default", "dpslm", "zerosyl", "slamkit", "twist", "salmon"] = "default"
    """Scoring convention: of DP-SLM, ZeroSyl, slamkit, TWIST or SALMon; by default that of the language model's
    system."""
    reduction: Literal["default", "sum", "mean"] = "default"
    """Sum of the log-probabilities, or their mean; by default the convention's."""
    bos: Literal["default", "yes", "no"] = "default"
    """Whether a beginning conditions the first unit, which is then scored; by default the convention's."""
    eos: Literal["default", "yes", "no"] = "default"
    """Whether the end is scored; by default the convention's."""


@dataclass(frozen=True, kw_only=True)
class ZeroSpeechOptions(ConventionOptions):
    """The two tasks of ZeroSpeech."""

    title: ClassVar[str] = "data"

    subset: Literal["dev", "test"] = "dev"
    """Part of the data set."""
    layout: Literal["zerospeech", "slamkit"] = "zerospeech"
    """The data set of ZeroSpeech with its gold files, or slamkit's folders."""
    submission: Path | None = field(default=None, metavar="DIR")
    """Folder to write a ZeroSpeech submission to, if the data are complete."""


@dataclass(frozen=True, kw_only=True)
class SwuggyOptions(ZeroSpeechOptions):
    """sWUGGY: words against non-words; by vocabulary, frequency and length."""

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval swuggy sLM21-dataset/ --k 500 --lmbda 4500",
        "slmzoo eval swuggy sLM21-dataset/ --units shards/ --subset test --submission out/",
    )


@dataclass(frozen=True, kw_only=True)
class SblimpOptions(ZeroSpeechOptions):
    """sBLIMP: grammatical against ungrammatical sentences; by type."""

    examples: ClassVar[tuple[str, ...]] = ("slmzoo eval sblimp sLM21-dataset/ --k 500 --lmbda 4500",)


@dataclass(frozen=True, kw_only=True)
class StoryClozeOptions(ConventionOptions):
    """sStoryCloze or tStoryCloze: the right ending of a story against another."""

    examples: ClassVar[tuple[str, ...]] = ("slmzoo eval storycloze tSC/ --k 500 --lmbda 4500",)


@dataclass(frozen=True, kw_only=True)
class SalmonOptions(ConventionOptions):
    """SALMon: consistent acoustics against a change, and acoustics that fit the words; by task."""

    examples: ClassVar[tuple[str, ...]] = ("slmzoo eval salmon salmon_benchmark/ --k 500 --lmbda 4500",)

    convention: Literal["default", "dpslm", "zerosyl", "slamkit", "twist", "salmon"] = "salmon"


@dataclass(frozen=True, kw_only=True)
class PairsOptions(ConventionOptions):
    """Any pairs: a csv with the columns positive and negative, or folders in slamkit's layout."""

    title: ClassVar[str] = "data"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval pairs pairs.csv --zoo demo",
        "slmzoo eval pairs pairs.csv --audio wavs/ --by kind",
    )

    audio: Path | None = field(default=None, metavar="DIR")
    """Folder that the paths of the csv are relative to; the csv's own folder if left out."""
    by: list[str] = default(default_factory=list)
    """Columns of the csv whose values get a score of their own."""
