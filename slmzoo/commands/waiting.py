"""Progress display at a terminal while a step takes time."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

__all__ = ["is_quiet", "waiting"]

log = logging.getLogger(__name__)

_EVERY = 0.5


def is_quiet() -> bool:
    """Whether only errors are shown."""
    return not log.isEnabledFor(logging.WARNING)


@contextmanager
def waiting(step: str, file: TextIO | None = None) -> Iterator[None]:
    """Show `step` and the elapsed time on standard error, if that is a terminal; clear the line when done."""
    stream = sys.stderr if file is None else file
    if not stream.isatty() or is_quiet():
        yield
        return
    done = threading.Event()
    with tqdm(desc=step, bar_format="{desc} ... {elapsed}", leave=False, file=stream) as line:

        def count() -> None:
            while not done.wait(_EVERY):
                line.refresh()

        counter = threading.Thread(target=count, daemon=True)
        counter.start()
        try:
            yield
        finally:
            done.set()
            counter.join()
