"""The command line that runs, for what is to say how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["command", "running"]

_arguments: ContextVar[tuple[str, ...] | None] = ContextVar("arguments", default=None)


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[None]:
    """Inside, `command` is `slmzoo` with these arguments."""
    token = _arguments.set(tuple(arguments))
    try:
        yield
    finally:
        _arguments.reset(token)


def command() -> list[str]:
    """The words of the command that runs; none where no command line was given."""
    given = _arguments.get()
    return [] if given is None else ["slmzoo", *given]
