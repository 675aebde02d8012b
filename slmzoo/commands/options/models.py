"""Options of `slmzoo list`, `info`, `cite`, `fetch`, `verify`, `convert` and `convert-units`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.arguments import flag
from slmzoo.commands.options.common import ResultsOptions, ZooOptions

__all__ = [
    "CiteOptions",
    "ConvertOptions",
    "ConvertUnitsOptions",
    "FetchOptions",
    "InfoOptions",
    "ListOptions",
    "VerifyOptions",
]


@dataclass(frozen=True, kw_only=True)
class ListOptions(ZooOptions):
    """List all models of all zoos, and the state of each on this machine.

    States: verified (equals the published digest), recorded (no digest is published; equals the first download),
    unknown (here, but not verified since it last changed), shipped (part of the package), own (a file of yours without
    a digest), absent (not here; `slmzoo fetch` downloads it). The size of what is absent is about that of its
    parameters in float32, or "-" where its authors state neither.

    A JSON line holds: zoo, kind, variant, k, lmbda, state, size (bytes), file, sha256, licence, origin, url.
    """

    examples: ClassVar[tuple[str, ...]] = ("slmzoo list", "slmzoo list --zoo demo")

    zoo: str = "all"
    """Zoo to list, or all."""


@dataclass(frozen=True, kw_only=True)
class InfoOptions(ZooOptions):
    """Show models in detail: rates, operating point, state, licence, origin, and the models that they belong with.

    A JSON line holds: zoo, kind, variant, k, lmbda, system, role, encoder, layer, num_neighbors, sample_rate (Hz),
    frame_rate (Hz), state, path, size (bytes), sha256, licence, origin, url, file, belongs_with (zoo, kind, variant, k
    and lmbda of each).
    """

    title: ClassVar[str] = "models"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo info wavlm", "slmzoo info dp-slm ulm 500 4500")

    names: list[str] = field(positional=True, nargs="+", metavar="NAME")
    """Words that must all apply to a model: zoo, kind, variant, k, lambda, or file."""
    zoo: str = "all"
    """Zoo of the models, or all."""


@dataclass(frozen=True, kw_only=True)
class CiteOptions(ZooOptions):
    """Print the papers of models, and of those that they belong with, as BibTeX; without names that of slmzoo alone."""

    title: ClassVar[str] = "models"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo cite 500 4500", "slmzoo cite gslm hubert > references.bib")

    names: list[str] = field(positional=True, nargs="*", metavar="NAME", default_factory=list)
    """Words that must all apply to a model: zoo, kind, variant, k, lambda, or file."""
    zoo: str = "all"
    """Zoo of the models, or all."""


@dataclass(frozen=True, kw_only=True)
class FetchOptions(ZooOptions):
    """Download and verify the models of an operating point: encoder, codebook, ULM, ELLA-V and codec.

    A JSON line holds: zoo, kind, variant, k, lmbda, path.
    """

    title: ClassVar[str] = "operating point"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo fetch 500 4500", "slmzoo fetch --all")

    k: int | None = field(default=None, positional=True, nargs="?", metavar="K")
    """Number of codes."""
    lmbda: float | None = field(default=None, positional=True, nargs="?", metavar="LMBDA")
    """Weight of the duration penalty."""
    variant: str | None = None
    """Family of the models where the zoo has several: the features of gslm's (hubert, cpc, w2v2, logmel), the training
    of dp-slm's language model."""
    all: bool = flag()
    """Fetch every file of the zoo."""


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(ZooOptions):
    """Read every file that is here again, and check its SHA-256.

    A JSON line holds: zoo, kind, variant, k, lmbda, path, sha256. A wrong file gets a line on standard error, and the
    exit status is 1.
    """

    examples: ClassVar[tuple[str, ...]] = ("slmzoo verify", "slmzoo verify --zoo dp-slm")

    zoo: str = "all"
    """Zoo to verify, or all."""


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(ResultsOptions):
    """Convert a published .pt or .ckpt file to the project's safetensors, which loads equal.

    The JSON line holds: target, kind.
    """

    title: ClassVar[str] = "files"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo convert ulm.pt ulm.safetensors",)

    source: Path = field(positional=True, metavar="FILE.pt")
    """The published file."""
    target: Path = field(positional=True, metavar="FILE.safetensors")
    """The file to write."""
    kind: str | None = None
    """Kind of the model, such as wavtokenizer or soundstream; by the file's keys if left out."""


@dataclass(frozen=True, kw_only=True)
class ConvertUnitsOptions(ResultsOptions):
    """Convert units from and to the files of other systems; durations are kept.

    The JSON line holds: source, target, records. The formats are described in slmzoo/corpus/formats.py.
    """

    title: ClassVar[str] = "files"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo convert-units units/ units.jsonl --write-as slamkit",
        "slmzoo convert-units units.txt units/ --read-as textlesslib --frame-rate 50",
    )

    source: Path = field(positional=True, metavar="SOURCE")
    """File or folder of units."""
    target: Path = field(positional=True, metavar="TARGET")
    """File (slamkit, textlesslib) or folder (all others) to write."""
    read_as: Literal["shards", "npy", "ellav", "slamkit", "textlesslib", "zerosyl", "speechtokenizer"] = "shards"
    """Format of the source."""
    write_as: Literal["shards", "npy", "ellav", "slamkit", "textlesslib", "zerosyl", "speechtokenizer"] = "shards"
    """Format of the target."""
    frame_rate: float = 50.0
    """Frames per second of the source; shards carry their own."""
