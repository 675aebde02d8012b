"""Alignments in Praat's TextGrid text files, long and short.

Praat reads both as one sequence of values: free-standing numbers, quoted texts and <flags>. All other words, and
comments after a !, are ignored (Praat's manual, "TextGrid file formats").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from slmcore.errors import must

__all__ = ["SILENCE", "Phone", "alignments_in", "phones", "tiers"]

_VALUE = re.compile(r'"(?:[^"]|"")*"|![^\n]*|[^\s"!]\S*')
_STRESS = re.compile(r"^([A-Z]{2})[0-2]$")
_SILENCES = {"", "sil", "SIL", "sp", "spn", "SPN", "<eps>"}
SILENCE = "sil"
"""Label of silence, independent of the aligner's."""


class Phone(NamedTuple):
    """Labelled interval of speech."""

    start: float
    """Seconds."""
    end: float
    label: str


def tiers(path: str | Path) -> dict[str, list[Phone]]:
    """Read the interval tiers of a TextGrid (UTF-8 or UTF-16) by name, labels unchanged; the first of equal names.

    Raises ValueError for another format, or intervals that overlap or run backwards.
    """
    path = Path(path)
    values = _values(_decoded(path))
    try:
        if (next(values), next(values)) != ("ooTextFile", "TextGrid"):
            raise ValueError("the header is another one")
        _, _, flag, count = next(values), next(values), next(values), int(float(next(values)))
        tiers_by_name: dict[str, list[Phone]] = {}
        for _ in range(count if flag == "<exists>" else 0):
            kind, name = next(values), next(values)
            _, _, size = next(values), next(values), int(float(next(values)))
            fields = 3 if kind == "IntervalTier" else 2
            rows = [[next(values) for _ in range(fields)] for _ in range(size)]
            if kind == "IntervalTier":
                tiers_by_name.setdefault(name, [Phone(float(a), float(b), text.strip()) for a, b, text in rows])
        for intervals in tiers_by_name.values():
            _check(intervals)
    except (StopIteration, ValueError) as error:
        raise ValueError(
            f"{path} is not a TextGrid in Praat's text formats: {str(error) or 'it ends early'}."
        ) from error
    return tiers_by_name


def phones(path: str | Path, tier: str = "phones") -> list[Phone]:
    """Read the phones of a TextGrid: the tier of that name, or of one speaker, which ends in " - " and that name.

    Silence (empty, sil, sp, spn, <eps>) is "sil", and ARPAbet vowels lose their stress digits. Raises ValueError for a
    missing tier.
    """
    intervals = tiers(path)
    names = [name for name in intervals if name == tier or name.endswith(f" - {tier}")]
    if len(names) != 1:
        raise ValueError(must("tier", f"the name of one of the tiers {list(intervals)} of {path}", tier))
    return [Phone(a, b, _label(text)) for a, b, text in intervals[names[0]]]


def alignments_in(folder: Path, tier: str) -> tuple[dict[str, list[Phone]], list[str]]:
    """Read the phones of all TextGrids below a folder, by stem; also return files without phones or unique stem."""
    alignments: dict[str, list[Phone]] = {}
    failed: list[str] = []
    for path in sorted(folder.rglob("*.TextGrid")):
        try:
            if path.stem in alignments:
                raise ValueError(f"{path.stem} is there twice.")
            alignments[path.stem] = phones(path, tier)
        except (OSError, ValueError):
            failed.append(str(path.relative_to(folder)))
    return alignments, failed


def _label(text: str) -> str:
    return SILENCE if text in _SILENCES else _STRESS.sub(r"\1", text)


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    utf16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is neither UTF-8 nor UTF-16: {error}") from error


def _values(text: str) -> Iterator[str]:
    for word in _VALUE.findall(text):
        if word.startswith('"'):
            yield word[1:-1].replace('""', '"')
        elif re.fullmatch(r"<\w+>|[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", word):
            yield word


def _check(intervals: Sequence[Phone]) -> None:
    end = float("-inf")
    for interval in intervals:
        if interval.start < end - 1e-6 or interval.end < interval.start:
            raise ValueError(f"the interval at {interval.start} s overlaps another one or runs backwards")
        end = interval.end
