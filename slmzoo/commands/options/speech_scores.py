"""Options of the evaluations of speech: recognition and distances, and generated speech."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.commands.options.common import (
    DeviceOptions,
    SeedOptions,
    SynthesisOptions,
)
from slmzoo.commands.options.report import ReportOptions

__all__ = ["GenerationOptions", "SpeechScoresOptions"]


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
