"""Row of the table of checkpoints: address, digest, and operating point of a file."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Real
from urllib.parse import unquote, urlsplit

from slmcore.checks import whole
from slmcore.errors import must
from slmcore.units import OperatingPoint

__all__ = ["Row", "check_k", "check_lmbda", "file_name", "shown"]

SCHEMES = ("https", "http", "hf", "package")
_SAFE_NAME = re.compile(r"(?!\.)[\w.+=-]{1,200}", re.ASCII)
_DIGITS = re.compile(r"[0-9a-f]{8,64}")
_KIND = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Row:
    """Checkpoint file. None is unknown, or does not apply to this kind."""

    zoo: str
    """Name of the zoo: "dp-slm" (published), "demo" (shipped), or a user's own."""
    kind: str
    """Kind of model, such as "ulm"; `slmzoo.kinds` has those of the built-in systems."""
    url: str
    """`https://`, `http://`, `hf://owner/repo/file`, `package://package/file`, or a path on this machine."""
    system: str = "dp-slm"
    """System of the zoo's models, which loads and composes them."""
    default: bool = False
    """Whether this row's operating point is the zoo's default."""
    variant: str | None = None
    """Name of the model among those of its kind, e.g. "units" or "phones" for ELLA-V."""
    k: int | None = None
    """Number of codes in the codebook."""
    lmbda: float | None = None
    """Weight of the duration penalty, in squared feature units."""
    num_neighbors: int | None = None
    """Number of nearest codes among which each frame of the model's units was quantised."""
    encoder: str | None = None
    """Name of the encoder whose features were quantised."""
    layer: int | None = None
    """Encoder block, 1-based, whose output was quantised."""
    sample_rate: int | None = None
    """Sample rate of the input or output, Hz."""
    frame_rate: float | None = None
    """Frame or code rate of the output or input, Hz."""
    longest_seconds: float | None = None
    """Longest segment that an acoustic model synthesises, seconds, if its file does not state it."""
    sha256: str = ""
    """First 8 or more hex digits of the file's SHA-256, enforced; empty if none are proven."""
    size: int | None = None
    """Approximate size of the file, bytes; None if it is unknown before the download."""
    claimed: str = ""
    """Digits in the published name that no loader has ever checked; reported, not enforced."""
    licence: str = "not stated"
    origin: str = "not stated"
    """Who made the weights, and with what."""

    def __post_init__(self) -> None:
        _check_texts(self)
        _check_numbers(self)
        if self.k is not None and self.num_neighbors is not None and self.num_neighbors > self.k:
            raise ValueError(must("num_neighbors", f"1 to k = {self.k}", self.num_neighbors))

    @property
    def key(self) -> tuple[str, str, str | None, int | None, float | None]:
        """Key of the row: (zoo, kind, variant, k, lmbda)."""
        return (self.zoo, self.kind, self.variant, self.k, self.lmbda)

    @property
    def file(self) -> str:
        """Name of the file, without folders."""
        return file_name(self.url)

    @property
    def operating_point(self) -> OperatingPoint | None:
        """Operating point of the units, as far as known; None for a model that does not depend on units."""
        known = (self.encoder, self.layer, self.k, self.lmbda, self.num_neighbors)
        if all(value is None for value in known):
            return None
        return OperatingPoint(
            zoo=self.zoo,
            encoder=self.encoder,
            layer=self.layer,
            k=self.k,
            lmbda=self.lmbda,
            num_neighbors=self.num_neighbors,
        )

    @property
    def label(self) -> str:
        """Key as text, for messages: `dp-slm ulm hours_1k_steps_10k k=500 lmbda=4500`."""
        parts = [self.zoo, self.kind, self.variant or ""]
        parts += [f"k={self.k}"] if self.k is not None else []
        parts += [f"lmbda={shown(self.lmbda)}"] if self.lmbda is not None else []
        return " ".join(part for part in parts if part)


def check_k(k: object) -> int | None:
    """Return `k` as int; a ValueError unless it is an integer >= 1 (a bool is not)."""
    if k is None:
        return None
    return whole("k", k, 1, "an integer >= 1")


def check_lmbda(lmbda: object) -> float | None:
    """Return `lmbda` as float; a ValueError unless it is a finite number >= 0 (a bool is not)."""
    if lmbda is None:
        return None
    if isinstance(lmbda, bool) or not isinstance(lmbda, Real) or not (_finite(lmbda) and float(lmbda) >= 0):
        raise ValueError(must("lmbda", "a finite number >= 0", lmbda))
    return float(lmbda)


def file_name(url: str) -> str:
    """Return the last part of a URL or path; a ValueError if it is not a safe name of a file in a folder."""
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1] if "://" in url else re.split(r"[/\\]", url)[-1]
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(must("file name", "letters, digits and . _ + = - (not first a dot)", name, f"It is in {url}."))
    return name


def shown(value: float | None) -> str:
    """Format a number as one types it (4500.0 as 4500); "any" for None."""
    return "any" if value is None else str(int(value) if value == int(value) else value)


def _check_texts(row: Row) -> None:
    for name in ("zoo", "system", "kind", "url", "sha256", "claimed", "licence", "origin"):
        if not isinstance(getattr(row, name), str):
            raise ValueError(must(name, "a string", getattr(row, name)))
    for name in ("variant", "encoder"):
        value = getattr(row, name)
        if value is not None and not (isinstance(value, str) and value):
            raise ValueError(must(name, "a string that is not empty", value))
    for name in ("zoo", "system"):
        if not re.fullmatch(r"[\w.-]+", getattr(row, name)):
            raise ValueError(must(name, "a name of letters, digits, . _ -", getattr(row, name)))
    if not _KIND.fullmatch(row.kind):
        raise ValueError(must("kind", "a name of lower-case letters, digits and _, such as ulm", row.kind))
    if not isinstance(row.default, bool):
        raise ValueError(must("default", "true or false", row.default))
    if row.sha256 and not _DIGITS.fullmatch(row.sha256):
        raise ValueError(must("sha256", "8 to 64 lower-case hex digits", row.sha256))
    if "://" in row.url and row.url.split("://")[0] not in SCHEMES:
        raise ValueError(must("url", f"a path or one of {', '.join(s + '://' for s in SCHEMES)}", row.url))
    file_name(row.url)


def _check_numbers(row: Row) -> None:
    # Set through object, as the dataclass is frozen, so that k and lmbda of any source compare and print alike.
    object.__setattr__(row, "k", check_k(row.k))
    object.__setattr__(row, "lmbda", check_lmbda(row.lmbda))
    for name in ("num_neighbors", "layer", "sample_rate", "size"):
        value = getattr(row, name)
        if value is not None:
            object.__setattr__(row, name, whole(name, value, 1, "an integer >= 1"))
    rate = row.frame_rate
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, Real) or not (_finite(rate) and rate > 0)):
        raise ValueError(must("frame_rate", "a finite number > 0 of frames per second", rate))
    longest = row.longest_seconds
    if longest is not None and (
        isinstance(longest, bool) or not isinstance(longest, Real) or not (_finite(longest) and longest >= 1)
    ):
        raise ValueError(must("longest_seconds", "a finite number >= 1 of seconds", longest))


def _finite(value: Real) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
