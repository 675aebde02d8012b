"""Command line of the running process, for provenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["command", "running"]

_arguments: ContextVar[tuple[str, ...] | None] = ContextVar("arguments", default=None)


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[None]:
    """Set `command` to `slmzoo` with these arguments, within a context."""
    token = _arguments.set(tuple(arguments))
    try:
        yield
    finally:
        _arguments.reset(token)


def command() -> list[str]:
    """Return the words of the running command; none outside of a command line."""
    given = _arguments.get()
    return [] if given is None else ["slmzoo", *given]
