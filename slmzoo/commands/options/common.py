"""Options that several commands share, in groups as `--help` shows them.

The class of a group has a `title`; a field belongs to the group of the class that first declares it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmcore.files.atomic import check_target
from slmzoo.arguments import flag

__all__ = [
    "AudioOptions",
    "DecodingOptions",
    "DeviceOptions",
    "ModelOptions",
    "PrecisionOptions",
    "ResultsOptions",
    "SeedOptions",
    "SynthesisOptions",
    "ZooOptions",
]


@dataclass(frozen=True, kw_only=True)
class ResultsOptions:
    """Output of results."""

    title: ClassVar[str] = "results"
    examples: ClassVar[tuple[str, ...]] = ()
    """Command lines that the command's help shows."""

    json: bool = flag()
    """Write results as JSON, one object per line, which is the default unless standard output is a terminal."""
    jsonl: Path | None = field(default=None, metavar="FILE")
    """File for the results, one JSON object per line; it appears when it is complete."""

    def __post_init__(self) -> None:
        """Check, before anything is loaded, that the results can be written."""
        if self.jsonl is not None:
            try:
                check_target(self.jsonl)
            except OSError as error:
                raise ValueError(f"--jsonl: {error}") from error


@dataclass(frozen=True, kw_only=True)
class ZooOptions(ResultsOptions):
    """Whose models are used."""

    title: ClassVar[str] = "models"

    zoo: str = "dp-slm"
    """Zoo of the models: dp-slm (published; downloaded on first use), demo (shipped with the package), or one of
    --registry."""
    registry: str | None = field(default=None, metavar="ZOO.json")
    """File with the rows of a zoo of your own."""


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(ResultsOptions):
    """Device."""

    title: ClassVar[str] = "computation"

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device; auto takes CUDA where there is a GPU."""


@dataclass(frozen=True, kw_only=True)
class PrecisionOptions(DeviceOptions):
    """Device and precision."""

    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the models; features, distances and sampling stay float32."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions(ZooOptions, PrecisionOptions):
    """The encoder and the quantiser of an operating point."""

    title: ClassVar[str] = "models"

    k: int | None = None
    """Number of codes; 500 for dp-slm, the only one for a zoo with a single codebook."""
    lmbda: float | None = None
    """Weight of the duration penalty; 4500 for dp-slm, the only one for a zoo with a single operating point."""
    variant: str | None = None
    """Family of the models where the zoo has several: the features of gslm's (hubert, cpc, w2v2, logmel), the training
    of dp-slm's language model."""


@dataclass(frozen=True, kw_only=True)
class DecodingOptions(ModelOptions):
    """The language model and the acoustic model as well."""

    title: ClassVar[str] = "computation"

    weights: Literal["float", "int8", "int8-weight-only"] = "float"
    """Weights of the language model and of ELLA-V; int8 makes decoding on a CPU several times faster."""


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions(DecodingOptions):
    """The acoustic model too."""

    title: ClassVar[str] = "models"

    synthesizer: str | None = None
    """Acoustic model: ellav, tacotron or hifigan (a unit vocoder), with :VARIANT where the zoo has several, or the
    .safetensors file of a unit vocoder of your own; by default the system's."""


@dataclass(frozen=True, kw_only=True)
class SeedOptions(ResultsOptions):
    """Randomness."""

    title: ClassVar[str] = "computation"

    seed: int = 0
    """Seed of all random draws."""


@dataclass(frozen=True, kw_only=True)
class AudioOptions(ResultsOptions):
    """Audio to read."""

    title: ClassVar[str] = "inputs"

    inputs: list[str] = field(positional=True, nargs="+", metavar="AUDIO")
    """Audio files, folders or glob patterns (wav, flac, ogg, mp3; with ffmpeg m4a, webm, ...), any rate and channels;
    `-` is the standard input."""
