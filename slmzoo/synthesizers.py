"""Synthesisers by name: which of a zoo's acoustic models speaks the units of an operating point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from slmcore.errors import must
from slmcore.files.rows import Row, shown
from slmcore.roles import Synthesizer
from slmcore.units import OperatingPoint
from slmzoo.kinds import Kind, imported
from slmzoo.sources import Choice, Source
from slmzoo.systems import kinds

__all__ = ["completed", "load", "names"]

_FILE = ".safetensors"
_OF_FILES = "twist.vocoder:load"


def names() -> tuple[str, ...]:
    """Return the names of all kinds of synthesiser."""
    return tuple(sorted(_by_name()))


def completed(where: Source, asked: str, wanted: Choice) -> Choice:
    """Return the choice with k and lambda of the synthesisers that are asked for, where all of them agree."""
    if Path(asked).suffix == _FILE:
        return wanted
    kind, variant = _kind(asked)
    points = {(row.k, row.lmbda) for row in _rows(where, kind) if _fits(row, variant, wanted)}
    k, lmbda = points.pop() if len(points) == 1 else (None, None)
    return replace(wanted, k=k if wanted.k is None else wanted.k, lmbda=lmbda if wanted.lmbda is None else wanted.lmbda)


def load(where: Source, asked: str, wanted: Choice, point: OperatingPoint | None) -> Synthesizer:
    """Load the synthesiser that `asked` names, "hifigan" or with its variant "hifigan:NAME", of an operating point.

    `point`: that of the units it has to speak. `asked` may also be the file of a unit vocoder of one's own, whichever
    zoo its units are of. Raises ValueError for an unknown name, a zoo that has none, none at this point, and several of
    which none is named; the message lists what there is. Of a file, raises ValueError for one of other units and
    CheckpointError for one of another kind.
    """
    if Path(asked).suffix == _FILE:
        return _of_file(Path(asked).expanduser(), where, point)
    kind, variant = _kind(asked)
    rows = _rows(where, kind)
    at_point = [row for row in rows if _fits(row, None, wanted) and _speaks(row, point)]
    if not at_point:
        points = _listed([f"k={shown(row.k)}, lambda {shown(row.lmbda)} ({_called(kind, row)})" for row in rows])
        remedy = f"The zoo {where.zoo!r} has {points}."
        raise ValueError(must("synthesizer", "one of this operating point", asked, remedy))
    chosen = [row for row in at_point if variant in (None, row.variant)]
    if len(chosen) != 1:
        options = _listed([_called(kind, row) for row in at_point])
        remedy = "" if variant else f"The zoo {where.zoo!r} has several at this operating point."
        raise ValueError(must("synthesizer", f"one of {options}", asked, remedy))
    return imported(str(kind.synthesizer_loader))(where, replace(wanted, variant=chosen[0].variant))


def _of_file(path: Path, where: Source, point: OperatingPoint | None) -> Synthesizer:
    model = imported(_OF_FILES)(path).to(where.map_location)
    held = model.operating_point
    if held is not None and point is not None:
        # The zoo of a file is that of its registry; its units may be of another.
        model.operating_point = replace(held, zoo=point.zoo)
        model.operating_point.check_compatible(point, f"{path.name} and the units")
    return model


def _by_name() -> dict[str, Kind]:
    return {kind.synthesizer: kind for kind in kinds().values() if kind.synthesizer is not None}


def _kind(asked: str) -> tuple[Kind, str | None]:
    """Return the kind of a name, and the variant behind its colon."""
    name, _, variant = asked.partition(":")
    known = _by_name()
    if name not in known:
        remedy = "A variant comes behind a colon, as in hifigan:NAME."
        raise ValueError(must("synthesizer", f"one of {', '.join(names())}", asked, remedy))
    return known[name], variant or None


def _rows(where: Source, kind: Kind) -> list[Row]:
    there = where.rows()
    rows = [row for row in there if row.kind == kind.name]
    if not rows:
        here, known = {row.kind for row in there}, _by_name()
        others = _listed([name for name in names() if known[name].name in here]) or "no synthesiser"
        raise ValueError(
            f"The zoo {where.zoo!r} has no {kind.synthesizer}; it has {others}. "
            "`slmzoo train vocoder` makes a hifigan for any units."
        )
    return rows


def _fits(row: Row, variant: str | None, wanted: Choice) -> bool:
    pairs = (row.k, wanted.k), (row.lmbda, wanted.lmbda), (row.variant, variant)
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def _speaks(row: Row, point: OperatingPoint | None) -> bool:
    held = row.operating_point
    return held is None or point is None or not held.conflicts(point)


def _called(kind: Kind, row: Row) -> str:
    return f"{kind.synthesizer}:{row.variant}" if row.variant else str(kind.synthesizer)


def _listed(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(values))
