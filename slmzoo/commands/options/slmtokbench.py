"""Options of `slmzoo eval slmtokbench`."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.arguments import flag
from slmzoo.commands.options.common import DecodingOptions, SeedOptions
from slmzoo.commands.options.report import ReportOptions

__all__ = ["SlmTokBenchOptions"]

_METRICS = ["wer", "similarity", "stoi", "visqol", "pesq", "f0", "none"]


@dataclass(frozen=True, kw_only=True)
class SlmTokBenchOptions(SeedOptions, DecodingOptions, ReportOptions):
    """Score the tokens of a system by SLMTokBench: mutual information with text, word errors of a recogniser trained on
    the tokens, and intelligibility, voice and quality of the speech made of them; for some numbers of streams.

    Without --train, --test and --transcripts the recordings are those of `slmzoo eval mini`, which flite speaks, and a
    smaller recogniser is trained: the figures tell tokenizers apart, and cannot be compared with published ones.
    """

    title: ClassVar[str] = "data"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo eval slmtokbench --zoo demo --out tokens",
        "slmzoo eval slmtokbench --zoo speechtokenizer --train train-clean-100 --test test-clean --transcripts texts",
    )

    train: Path | None = field(default=None, metavar="DIR")
    """Recordings to train the recogniser on, named by their stems."""
    test: Path | None = field(default=None, metavar="DIR")
    """Recordings to score."""
    transcripts: Path | None = None
    """Text of both: a file of `<id> <text>` lines, or a folder of such .tsv or .txt files."""
    most: int | None = None
    """Sentences of each kind of the small benchmark; all if left out."""
    codes: bool = flag()
    """Levels of the codec, in place of units; they are taken anyway where speech is made of nothing else."""
    levels: list[int] = default(default_factory=list)
    """Numbers of levels to score, each counted from the first; the first alone and all if left out."""
    embedding: Literal["random", "codebook"] = "random"
    """Start of the recogniser's embedding: random, or the code vectors."""
    steps: int | None = None
    """Training steps; 200,000, on the small benchmark 600."""
    hidden: int | None = None
    """Width of the recogniser's embedding and of its two layers, in each direction; 1024, on the small benchmark 96."""
    batch: int | None = None
    """Recordings per training step; 32, on the small benchmark 16."""
    lr: float | None = None
    """Learning rate; 1e-4, on the small benchmark 3e-3."""
    against: int | None = None
    """Texts that each recording is compared with, drawn with --seed; all if left out, at quadratic cost."""
    utterances: int = 300
    """Test recordings to resynthesise, drawn with --seed."""
    metrics: list[str] = field(default_factory=list, choices=_METRICS)
    """Metrics of the resynthesis, or none; by default wer, similarity and, for levels of a codec, stoi as a stand-in
    for visqol (pip install 'slmzoo[visqol]')."""
    asr: str = "pocketsphinx"
    """Recogniser of the resynthesis, as for `slmzoo eval speech`; published: openai/whisper-medium."""
    speaker_model: str = "ltas"
    """Speaker model, as for `slmzoo eval speech`: ltas is a stand-in, the correlation of long-term average spectra;
    published: WavLM-TDNN; the nearest is microsoft/wavlm-base-plus-sv."""
    jobs: int = 1
    """Processes of the recogniser, on a CPU."""
