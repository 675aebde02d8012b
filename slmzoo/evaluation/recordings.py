"""Recordings of an evaluation by name, with duplicates, missing and extra ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeVar

from slmcore import audio

__all__ = ["matched", "recordings_in", "unique"]

Named = TypeVar("Named")


def recordings_in(folder: Path, deep: bool = False) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """Return the recordings of a folder by id, the stem (`deep`: the relative path without suffix), and duplicates."""
    paths = audio.find(folder)
    names = [path.relative_to(folder).with_suffix("").as_posix() if deep else path.stem for path in paths]
    return unique(zip(names, paths, strict=True))


def unique(named: Iterable[tuple[str, Named]]) -> tuple[dict[str, Named], dict[str, list[str]]]:
    """Return the recordings with a unique name, by name, and duplicated names as a problem."""
    named = list(named)
    count = Counter(name for name, _ in named)
    twice = sorted(name for name, times in count.items() if times > 1)
    return {name: each for name, each in named if count[name] == 1}, {"duplicated": twice}


def matched(what: str, wanted: Collection[str], there: Collection[str]) -> dict[str, list[str]]:
    """Return missing and unexpected ids as problems of the kind `what`."""
    missing, extra = set(wanted) - set(there), set(there) - set(wanted)
    return {f"missing {what}": sorted(missing), f"extra {what}": sorted(extra)}
