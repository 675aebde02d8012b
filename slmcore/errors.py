"""Message of wrong arguments, and the zoo's own exceptions."""

from __future__ import annotations

__all__ = ["WITHOUT_NETWORK", "CheckpointError", "DigestError", "FetchError", "OfflineError", "must"]

_LONGEST_VALUE = 200
WITHOUT_NETWORK = (
    'Without a network: the models of --zoo demo (zoo="demo") come with the package; `slmzoo fetch` on another machine '
    "fills a cache folder that can be copied here; SLMZOO_MIRROR names a folder or server that holds the files; "
    "SLMZOO_OFFLINE=1 tries no download."
)
"""Remedies where a download is impossible."""


class CheckpointError(ValueError):
    """A checkpoint file that cannot be used: damaged, of another kind, or holding what must not be loaded."""


class FetchError(OSError):
    """A download that did not succeed; the message says what happened and what to do."""


class DigestError(FetchError):
    """A file with a wrong SHA-256."""


class OfflineError(FetchError):
    """A file that is missing while the network is forbidden (`SLMZOO_OFFLINE=1`)."""


def must(name: str, requirement: str, value: object, remedy: str = "") -> str:
    """Return the message for a wrong argument: the requirement, the value, and the remedy.

    >>> must("lmbda", "a number >= 0", -1, "Use 0 for nearest codes.")
    '`lmbda` must be a number >= 0, but is -1. Use 0 for nearest codes.'
    """
    shown = value if isinstance(value, str) and value.startswith("a ") else repr(value)
    if len(shown) > _LONGEST_VALUE:
        shown = shown[:_LONGEST_VALUE] + "..."
    return f"`{name}` must be {requirement}, but is {shown}." + (f" {remedy}" if remedy else "")
