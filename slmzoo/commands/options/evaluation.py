"""Options of the commands of `slmzoo eval`, apart from those on pairs."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.arguments import flag
from slmzoo.commands.options.common import (
    DeviceOptions,
    ModelOptions,
    PrecisionOptions,
    ResultsOptions,
    SeedOptions,
    SynthesisOptions,
    ZooOptions,
)

__all__ = [
    "AbxOptions",
    "BootstrapOptions",
    "CompareOptions",
    "FiguresOptions",
    "GenerationOptions",
    "MiniOptions",
    "OnUnitsOptions",
    "ReportOptions",
    "SpeechScoresOptions",
    "SweepOptions",
    "TextInformationOptions",
    "UnitScoresOptions",
]


@dataclass(frozen=True, kw_only=True)
class BootstrapOptions(ResultsOptions):
    """Confidence intervals."""

    title: ClassVar[str] = "statistics"

    resamples: int = 2000
    """Bootstrap resamples behind each 95 % interval."""
    bootstrap_seed: int = 0
    """Seed of the bootstrap."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(BootstrapOptions):
    """Output and statistics of the scores."""

    title: ClassVar[str] = "report"

    out: Path = field(default=Path("slmzoo-eval"), metavar="DIR")
    """Folder for the result: a JSON file, and a csv for each metric."""
    allow_missing: bool = flag()
    """Score the remaining items where data are missing, and mark the result as incomplete."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions(BootstrapOptions):
    """Compare two results on the items that both have: paired bootstrap, and McNemar where it applies.

    Warns of conventions that differ and of incomplete results. A JSON line holds: metric, subset, first, second,
    difference, low, high, bootstrap_p, mcnemar_p, items.
    """

    title: ClassVar[str] = "results to compare"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo eval compare first/swuggy.json second/swuggy.json",)

    first: Path = field(positional=True, metavar="A.json")
    """A result of `slmzoo eval`."""
    second: Path = field(positional=True, metavar="B.json")
    """Another result of the same task."""


@dataclass(frozen=True, kw_only=True)
class FiguresOptions(ResultsOptions):
    """Draw results: word error rate against bit rate beside the 24 published points, ABX against lambda, accuracy by
    frequency band, and the distribution of log-likelihoods of each result.

    Results of `eval sweep`, `speech` with `units`, `abx`, `swuggy`, `pairs` and `mini` can be drawn. A JSON line
    holds: figure.
    """

    title: ClassVar[str] = "figures"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo eval figures slmzoo-eval/sweep.json --out figures",)

    results: list[Path] = field(positional=True, nargs="+", metavar="RESULT.json")
    """Results of `slmzoo eval`."""
    out: Path = field(default=Path("slmzoo-figures"), metavar="DIR")
    """Folder for the PNGs."""


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(SeedOptions, SynthesisOptions, ReportOptions):
    """Compute perplexity, auto-BLEU, self-BLEU and VERT of the transcripts of generated speech, as in GSLM.

    The wavs are kept in OUT/generated, and existing ones are not made again.
    """

    title: ClassVar[str] = "generation"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval generation prompts/ --text-model gpt2 --zoo demo",
        "slmzoo eval generation --text-model ngram:sentences.txt --temperatures 0.5 1.0",
    )

    inputs: list[str] = field(positional=True, nargs="*", metavar="AUDIO")
    """Speech whose beginnings are the prompts; none to start from nothing."""
    text_model: str
    """Language model of the text: a causal one of transformers by its name, or ngram:FILE for a file with one sentence
    per line."""
    asr: str = "pocketsphinx"
    """Recogniser: pocketsphinx, whisper (tiny.en, for real speech), a folder of a Whisper in CTranslate2's format, or a
    Whisper or CTC model of transformers by its name."""
    temperatures: list[float] = default(default_factory=lambda: [0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5])
    """Temperatures of the language model."""
    num_samples: int = 1
    """Utterances per prompt."""
    prompt_seconds: float = 3.0
    """Length of the prompt; 0 takes all of each input."""
    max_new_units: int = 150
    """Largest number of new units."""
    order: int = 2
    """Longest n-grams of auto-BLEU and self-BLEU."""
    convention: Literal["slmzoo", "gslm"] = "slmzoo"
    """Averages: over tokens, of texts with a word; or as GSLM's published code: perplexity over texts, with quantiles,
    and texts without a word count in the BLEUs."""
    continuations: Path | None = field(default=None, metavar="FILE")
    """GSLM's ground_truth_continuation_*.json: compute continuation-BLEU2 with --convention gslm, of speech that begins
    with its prompt and is cut to the seconds of its entry."""
    shortest: int = 1000
    """Evaluate the inputs of so many shortest entries of --continuations."""


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
class SpeechScoresOptions(DeviceOptions, ReportOptions):
    """Compute WER and CER of speech; beside its originals STOI, PESQ, speaker similarity, and pitch correlation."""

    title: ClassVar[str] = "data"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval speech resynthesis/ --transcripts said.tsv",
        "slmzoo eval speech resynthesis/ --metrics stoi f0 --originals speech/",
    )

    data: Path = field(positional=True, metavar="MADE")
    """Folder of the recordings to evaluate, named by their stems."""
    metrics: list[str] = field(
        default_factory=lambda: ["wer"], choices=["wer", "stoi", "pesq", "visqol", "similarity", "f0"]
    )
    """Metrics: wer (and CER) needs --transcripts, the others --originals."""
    transcripts: Path | None = None
    """File of `<id> <text>` lines, or a folder of such .tsv or .txt files (LibriSpeech's .trans.txt are)."""
    originals: Path | None = field(default=None, metavar="DIR")
    """Folder of the recordings they were made of, with the same stems."""
    asr: str = "pocketsphinx"
    """Recogniser: pocketsphinx, whisper (tiny.en, for real speech), a folder of a Whisper in CTranslate2's format, or a
    Whisper or CTC model of transformers by name or folder."""
    speaker_model: str = "microsoft/wavlm-base-plus-sv"
    """Model of transformers with an x-vector head, by name or folder, or ltas: a stand-in, the correlation of long-term
    average spectra."""
    jobs: int = 1
    """Processes of the recogniser, on a CPU."""


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
