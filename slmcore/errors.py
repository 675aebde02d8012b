"""One sentence for every wrong argument, and the exceptions that are the zoo's own."""

from __future__ import annotations

__all__ = ["WITHOUT_NETWORK", "CheckpointError", "DigestError", "FetchError", "OfflineError", "must"]

_LONGEST_VALUE = 200
WITHOUT_NETWORK = (
    'Without a network: the models of --zoo demo (zoo="demo") come with the package; `slmzoo fetch` on another machine '
    "fills a cache folder that can be copied here; SLMZOO_MIRROR names a folder or server that holds the files; "
    "SLMZOO_OFFLINE=1 tries no download."
)
"""Remedies for a download that cannot work."""


class CheckpointError(ValueError):
    """A checkpoint file that cannot be used: damaged, of another kind, or holding what must not be loaded."""


class FetchError(OSError):
    """A download that did not succeed; the message says what happened and what to do."""


class DigestError(FetchError):
    """A file whose SHA-256 is not the one it must have."""


class OfflineError(FetchError):
    """A file that is not here while the network must not be used (`SLMZOO_OFFLINE=1`)."""


def must(name: str, requirement: str, value: object, remedy: str = "") -> str:
    """The message for a wrong argument: what it must be, what it is, and the remedy.

    >>> must("lmbda", "a number >= 0", -1, "Use 0 for nearest codes.")
    '`lmbda` must be a number >= 0, but is -1. Use 0 for nearest codes.'
    """
    shown = value if isinstance(value, str) and value.startswith("a ") else repr(value)
    if len(shown) > _LONGEST_VALUE:
        shown = shown[:_LONGEST_VALUE] + "..."
    return f"`{name}` must be {requirement}, but is {shown}." + (f" {remedy}" if remedy else "")
