"""Options of `slmzoo units`, `score`, `resynth` and `continue`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.arguments import flag
from slmzoo.commands.options.common import (
    AudioOptions,
    DecodingOptions,
    ModelOptions,
    PrecisionOptions,
    SeedOptions,
    SynthesisOptions,
    ZooOptions,
)

__all__ = [
    "ContinueOptions",
    "ConvertVoiceOptions",
    "ResynthOptions",
    "ScoreOptions",
    "SpeakOptions",
    "SpeechOptions",
    "UnitsOptions",
]


@dataclass(frozen=True, kw_only=True)
class UnitsOptions(AudioOptions, ModelOptions):
    """Encode speech as discrete units with durations, or as codes of a codec.

    A JSON line holds: file, units, durations (frames), frame_rate (Hz), seconds, units_per_second, zoo, k, lmbda,
    num_neighbors. With --codes, and for a system that is only a codec: file, codes (a list for each codebook, the
    coarsest first), frame_rate (Hz), codebook_size, seconds, bits_per_second, zoo.

    With --out the units go to Parquet shards, and a line for each operating point holds: out, records, units, hours,
    units_per_second, left_out (number of files that are no audio, by ending), zoo, k, lmbda, num_neighbors; for codes:
    out, records, hours, frames, left_out, zoo, codebooks, codebook_size, frame_rate, bits_per_second. The same command
    resumes an interrupted job, from any folder. Inputs may then also be fairseq manifests (.tsv), .csv files
    with a column `path`, WebDataset tars, Lhotse recordings or cuts (.jsonl), each of these lists also as .gz,
    huggingface:NAME[:CONFIG]:SPLIT, and URLs that fsspec knows, zip://::archive.zip among them.
    """

    title: ClassVar[str] = "units"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo units talk.wav --zoo demo",
        "slmzoo units corpus/ --k 500 --lmbda 4500 --out units",
        "slmzoo units corpus/ --out units --points 500:2800 500:4500",
    )

    rate: float | None = None
    """Units per second that are wanted, in place of --lmbda: lambda is fitted to a sample of the inputs."""
    codes: bool = flag()
    """Codes of all levels of the codec, in place of units."""
    out: str | None = field(default=None, metavar="DIR")
    """Folder or fsspec URL for shards."""
    points: list[str] = field(default_factory=list, metavar="K:LMBDA")
    """With --out: several operating points in one pass, in place of --k and --lmbda; a folder for each."""
    workers: int | None = None
    """With --out: number of processes; by default one per GPU, or one per core."""
    shard_minutes: float | None = None
    """With --out: speech per shard, the most that a crash can cost a worker; by default 2 to 60."""
    batch_seconds: float | None = None
    """With --out: most audio per batch, padding included; by default 8 on a CPU and 960 on a GPU."""
    retry_failed: bool = flag()
    """With --out: try inputs again that failed in an earlier run."""
    update: bool = flag()
    """With --out: take inputs that were added, removed or replaced since the job began. New ones go to new shards;
    shards with removed or replaced ones are encoded again, so that no old record stays; all others are kept as they
    are. Without this option such inputs are only counted."""
    engine: Literal["plain", "ray"] = "plain"
    """With --out: processes on this machine, or Ray Data on a cluster."""
    address: str | None = None
    """With --engine ray: address of the cluster; by default one is started on this machine."""


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(AudioOptions, DecodingOptions):
    """Compute the log-likelihood of speech under the unit language model.

    A JSON line holds: file, loglikelihood (nats), num_units, reduction, bos (whether BOS conditions the first unit),
    eos (whether an end is scored), zoo, k, lmbda, num_neighbors.
    """

    title: ClassVar[str] = "scoring"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo score pairs/ --zoo demo",
        "slmzoo score pairs/ --reduction mean --jsonl scores.jsonl",
    )

    reduction: Literal["sum", "mean"] = "sum"
    """Sum over the units, or their mean, which compares utterances of unequal length."""


@dataclass(frozen=True, kw_only=True)
class SpeechOptions(AudioOptions, SeedOptions, SynthesisOptions):
    """Speech to write."""

    title: ClassVar[str] = "synthesis"

    out: Path = field(default=Path("slmzoo-out"), metavar="DIR")
    """Folder for the wavs and pictures."""
    num_samples: int = 1
    """Utterances to synthesise per input."""


@dataclass(frozen=True, kw_only=True)
class ResynthOptions(SpeechOptions):
    """Resynthesise speech from its units: wavs, and a picture of each.

    The demo knows four flite voices and understands little else; for other speech take the published models.

    Speech that is longer than what the acoustic model was trained on is cut at pauses and spoken segment by segment.
    A system that is only a codec gives a copy through it.

    A JSON line holds: file, wavs, wav_seconds, finished (whether every unit was spoken, and each segment lasts as long
    as its units, to 20 %) and clipped_samples (a value for each wav), figure, loglikelihood (nats; null without a
    language model), and what `units` gives of a system with units.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo resynth examples/sample.wav --zoo demo --out demo-out",
        "slmzoo resynth talk.wav --k 500 --lmbda 4500 --num-samples 3",
    )

    temperature: float | None = None
    """Divisor of the acoustic model's logits; by default its own (ELLA-V: 1)."""
    top_p: float | None = None
    """Probability mass to sample from, by default the acoustic model's own (ELLA-V: 0.8); 0 always takes the likeliest
    token."""
    max_codec_tokens_per_phone: int | None = None
    """Longest duration of a unit, in codec tokens; by default the acoustic model's own (ELLA-V: 10)."""
    keep_durations: bool | None = flag(None)
    """Let each unit last as long as it does in the input, instead of as long as the acoustic model finds; by default
    where the input is spoken in several segments."""


@dataclass(frozen=True, kw_only=True)
class ContinueOptions(SpeechOptions):
    """Continue speech with the language model from the beginning of each input, or from nothing without inputs.

    A JSON line holds: file (null without one), wavs, wav_seconds, finished (whether every unit was spoken) and
    clipped_samples (a value for each wav), prompt (its units), units and ended (for each wav: the new units, and
    whether the language model ended the utterance).
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo continue talk.wav --zoo demo --prompt-seconds 1",
        "slmzoo continue --zoo demo --num-samples 5 --temperature 0.8",
    )

    inputs: list[str] = field(positional=True, nargs="*", metavar="AUDIO")
    """Audio files, folders or glob patterns; none to start from nothing."""
    prompt_seconds: float = 3.0
    """Length of the prompt; 0 takes all of each input."""
    max_new_units: int | None = None
    """Largest number of new units; by default 150, and for TWIST twice those of the prompt."""
    temperature: float | None = None
    """Divisor of the language model's logits; by default 1, and for TWIST 0.8."""
    top_k: int | None = None
    """Number of likeliest units to draw from; by default all, and for TWIST 50."""
    top_p: float | None = None
    """Probability mass of the units to draw from; by default 1."""
    drop_prompt: bool = flag()
    """Cut off the resynthesis of the prompt."""


@dataclass(frozen=True, kw_only=True)
class ConvertVoiceOptions(AudioOptions, ZooOptions, PrecisionOptions):
    """Convert voices: the content of each input, level 1 of its codes, with the other levels of another recording.

    A JSON line holds: file, like, wav, seconds, sample_rate, clipped_samples.
    """

    title: ClassVar[str] = "synthesis"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo convert-voice talk.wav --like other.wav",)

    zoo: str = "speechtokenizer"
    """Zoo of the codec, whose first level must hold the content alone."""
    variant: str | None = None
    """Which of the zoo's codecs, where it has several; the first if left out."""
    like: Path = field(metavar="AUDIO")
    """Recording of the voice to convert to; repeated or cut to the length of each input."""
    out: Path = field(default=Path("slmzoo-out"), metavar="DIR")
    """Folder for the wavs."""


@dataclass(frozen=True, kw_only=True)
class SpeakOptions(SeedOptions, ZooOptions, PrecisionOptions):
    """Speak texts in the voice of a recording: zero-shot text to speech.

    Phones are made by espeak-ng: pip install 'slmzoo[phonemes]'.

    A JSON line holds: text, phones, prompt, wavs, wav_seconds, finished (whether the model ended the speech itself) and
    clipped_samples (a value for each wav), sample_rate, zoo.
    """

    title: ClassVar[str] = "synthesis"
    examples: ClassVar[tuple[str, ...]] = (
        'slmzoo speak "Good morning." --prompt voice.wav --prompt-text "What the recording says."',
    )

    texts: list[str] = field(positional=True, nargs="+", metavar="TEXT")
    """Texts to speak, each in recordings of its own."""
    prompt: Path = field(metavar="AUDIO")
    """Recording of the voice, about 3 s."""
    prompt_text: str = ""
    """Words of the recording; without them the model may repeat or skip words."""
    zoo: str = "speechtokenizer"
    """Zoo of the models, whose system must have text to speech."""
    variant: str | None = None
    """Which of the zoo's models, where it has several."""
    num_samples: int = 1
    """Recordings per text; sample i is that of --seed + i."""
    temperature: float = 1.0
    """Divisor of the logits of the first level; 0 is greedy."""
    top_k: int | None = None
    """Number of likeliest codes to draw from; all if left out."""
    top_p: float = 1.0
    """Probability mass of the codes to draw from."""
    out: Path = field(default=Path("slmzoo-out"), metavar="DIR")
    """Folder for the wavs, which are named after the texts."""
