"""Limits of the page, and the errors that it shows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BusyError", "Limits", "MissingError", "TooMuchError", "words_of"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one server over all its windows."""

    upload_bytes: int = 64 << 20
    """Size of an uploaded file."""
    seconds: float = 600.0
    """Length of one recording."""
    total_seconds: float = 3600.0
    """Length of all recordings that are kept."""
    sounds: int = 200
    """Synthesised utterances that are kept; the oldest is dropped for a new one."""
    request_bytes: int = 1 << 20
    """Size of any other request."""
    live: int = 1
    """Windows that record at a time."""


class MissingError(ValueError):
    """A recording, sound or system that is not here."""


class TooMuchError(ValueError):
    """More than the limits allow."""


class BusyError(RuntimeError):
    """Something that only one window can do at a time."""


def words_of(error: BaseException) -> str:
    """An error as the page shows it."""
    text = " ".join(str(error.args[0] if len(error.args) == 1 else error).split())
    return text or f"The server met a {type(error).__name__}."
