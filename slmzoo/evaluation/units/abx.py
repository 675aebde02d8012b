"""ABX error rate: how often a phone is nearer to an instance of another phone than to one of its own.

Schatz et al., "Evaluating speech features with the minimal-pair ABX task" (Interspeech 2013), as ZeroSpeech 2021 uses
it (Nguyen et al., arXiv 2011.11588). Conventions: docs/evaluation/abx.md.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from slmcore.clustering.dtw import warp
from slmcore.errors import must
from slmzoo.evaluation.report.statistics import Statistic, mean_of_means

__all__ = ["COSTS_AT_ONCE", "Cell", "Item", "cells", "cut", "error_rate", "frames", "read_items", "resampled", "tables"]

_COLUMNS = 7
COSTS_AT_ONCE = 1 << 23
"""Distances of pairs of frames in memory at a time: 64 MB."""
_GRID = 2.0**32  # Products are rounded to it, so that ties do not depend on the order of summation.


class Item(NamedTuple):
    """Interval of speech with its phone: a line of an item file."""

    file: str
    onset: Fraction
    """Seconds, exact."""
    offset: Fraction
    phone: str
    before: str
    """Previous phone."""
    after: str
    speaker: str

    @property
    def label(self) -> str:
        """Name of the item in messages: file, onset and offset."""
        return f"{self.file} {float(self.onset):g} {float(self.offset):g}"


class Cell(NamedTuple):
    """Triples of one kind: A and X are of `phone`, B of `other`."""

    phone: str
    other: str
    context: tuple[str, str]
    """Previous and next phone; empty for any context."""
    speaker: str
    """Speaker of A and B."""
    x_speaker: str
    error: float
    """Error rate: share of triples in which X is nearer to B than to A, 0..1; ties count half."""
    triples: int


@dataclass(frozen=True)
class _Bench:
    """Items of one context compared with one speaker's."""

    context: tuple[str, str]
    speaker: str
    phones: Mapping[str, list[int]]
    """Items of A and B by their phone."""
    xs: list[tuple[str, str, list[int]]]
    """Phone, speaker and items of X."""


def read_items(path: str | Path) -> list[Item]:
    """Read an item file: `#file onset offset #phone prev-phone next-phone speaker` in seconds, after a header.

    Items are sorted, so that results do not depend on the order of lines. Raises a ValueError with the line for another
    format, an offset before its onset, or a duplicate item.
    """
    items: dict[Item, int] = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines()[1:], 2):
        fields = line.split()
        if not fields:
            continue
        try:
            file, onset, offset, *labels = fields
            item = Item(file, Fraction(onset), Fraction(offset), *labels)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number} does not hold {_COLUMNS} columns of an item: {line}") from error
        if not 0 <= item.onset < item.offset:
            raise ValueError(f"{path}, line {number} ends before it begins: {line}")
        if item in items:
            raise ValueError(f"{path}, line {number} already stands in line {items[item]}: {line}")
        items[item] = number
    if not items:
        raise ValueError(f"{path} holds no items.")
    return sorted(items)


def frames(item: Item, frame_rate: float) -> slice:
    """Return the frames whose middle lies inside: ceil(onset * rate - 1/2) to floor(offset * rate - 1/2), inclusive."""
    rate = Fraction(frame_rate)
    first = math.ceil(item.onset * rate - Fraction(1, 2))
    return slice(max(0, first), max(0, math.floor(item.offset * rate + Fraction(1, 2))))


def cut(sequences: Mapping[str, Tensor], items: Sequence[Item], frame_rate: float) -> list[Tensor]:
    """Return the frames of each item, (n, D) or (n,), of the features (T, D) or framewise units (T,) of each file.

    An item has no frame if it is shorter than one, or its file ends before. Raises ValueError for a missing file.
    """
    missing = sorted({item.file for item in items} - set(sequences))
    if missing:
        raise ValueError(must("sequences", "the files of all items", f"a mapping without {missing[:5]}"))
    return [sequences[item.file][frames(item, frame_rate)] for item in items]


def cells(
    pieces: Sequence[Tensor],
    items: Sequence[Item],
    *,
    speaker: Literal["within", "across"] = "within",
    context: Literal["within", "any"] = "within",
    distance: Literal["angular", "euclidean", "identical"] = "angular",
    most: int | None = 10,
    most_speakers: int | None = 5,
    seed: int = 0,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> list[Cell]:
    """Compare A, B and X of all cells. `pieces`: the frames of each of `items`, (n, D), or (n,) for units; none empty.

    `speaker`: whether X is of A's and B's speaker or of another one; `context`: whether the phones around are the same
    for all three; `distance` of two frames: the angle over pi, Euclidean, or, for units, 0 if they are the same and
    otherwise 1. `progress` wraps the list of comparisons. A group of one context, speaker and phone is limited to
    `most` items, and for each A to X of `most_speakers`, both drawn with `seed`; None takes all.
    """
    between = {"angular": _angular, "euclidean": _euclidean, "identical": _identical}[distance]
    if len(pieces) != len(items) or any(len(piece) == 0 for piece in pieces):
        raise ValueError(must("pieces", f"{len(items)} sequences of at least one frame", f"a list of {len(pieces)}"))
    groups = _groups(items, context, most, seed)
    benches = _within(groups) if speaker == "within" else _across(groups, most_speakers, seed)
    compared: list[Cell] = []
    for bench in progress(list(benches)):
        compared.extend(_score(bench, pieces, between))
    return compared


def tables(cells: Iterable[Cell]) -> dict[tuple[str, str], dict[str, float]]:
    """Return the error rate per pair of phones and speaker of A and B: the mean over contexts and speakers of X."""
    errors: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        errors[cell.phone, cell.other][cell.speaker].append(cell.error)
    return {pair: {s: _mean(e) for s, e in speakers.items()} for pair, speakers in errors.items()}


def error_rate(table: Mapping[tuple[str, str], Mapping[str, float]]) -> float:
    """Return the ABX error rate, 0..1, of `tables`' result: the mean over speakers, then over pairs of phones."""
    if not table:
        raise ValueError("No two phones can be compared: no context has both of them, and X, as `speaker` asks.")
    return _mean([_mean(speakers.values()) for speakers in table.values()])


def resampled(table: Mapping[tuple[str, str], Mapping[str, float]], speakers: Sequence[str]) -> Statistic:
    """Return `error_rate` as a statistic of resampled `speakers`."""
    errors = np.array([[of.get(speaker, 0.0) for of in table.values()] for speaker in speakers])
    there = np.array([[speaker in of for of in table.values()] for speaker in speakers], np.float64)
    return mean_of_means(errors, there)


def _mean(values: Iterable[float]) -> float:
    """Return a mean that does not depend on the order."""
    listed = list(values)
    return math.fsum(listed) / len(listed)


_Groups = dict[tuple[tuple[str, str], str], dict[str, list[int]]]


def _groups(items: Sequence[Item], context: str, most: int | None, seed: int) -> _Groups:
    """Group items by context and speaker, then by phone, in their order."""
    groups: _Groups = {}
    for i in sorted(range(len(items)), key=items.__getitem__):
        item = items[i]
        around = (item.before, item.after) if context == "within" else ("", "")
        groups.setdefault((around, item.speaker), {}).setdefault(item.phone, []).append(i)
    for key, phones in groups.items():
        for phone, members in phones.items():
            phones[phone] = _drawn(members, most, seed, *key[0], key[1], phone)
    return groups


def _drawn(values: list, most: int | None, seed: int, *key: str) -> list:
    """Draw at most so many of `values`, depending on seed and key alone."""
    if most is None or len(values) <= most:
        return values
    return random.Random("\n".join([str(seed), *key])).sample(values, most)


def _within(groups: _Groups) -> Iterator[_Bench]:
    for (context, speaker), phones in groups.items():
        xs = [(phone, speaker, members) for phone, members in phones.items() if len(members) > 1]
        if len(phones) > 1 and xs:
            yield _Bench(context, speaker, phones, xs)


def _across(groups: _Groups, most: int | None, seed: int) -> Iterator[_Bench]:
    speakers: dict[tuple[tuple[str, str], str], list[str]] = defaultdict(list)
    for (context, speaker), phones in groups.items():
        for phone in phones:
            speakers[context, phone].append(speaker)
    for (context, speaker), phones in groups.items():
        xs: list[tuple[str, str, list[int]]] = []
        for phone in phones:
            others = sorted(other for other in speakers[context, phone] if other != speaker)
            chosen = _drawn(others, most, seed, *context, speaker, phone)
            xs.extend((phone, other, groups[context, other][phone]) for other in chosen)
        if len(phones) > 1 and xs:
            yield _Bench(context, speaker, phones, xs)


def _score(bench: _Bench, pieces: Sequence[Tensor], between: Callable[[Tensor, Tensor], Tensor]) -> Iterator[Cell]:
    ys = [i for members in bench.phones.values() for i in members]
    sizes = np.array([len(members) for members in bench.phones.values()])
    starts = sizes.cumsum() - sizes
    rows = {x: row for row, x in enumerate(dict.fromkeys(i for *_, members in bench.xs for i in members))}
    apart = _distances([pieces[i] for i in rows], [pieces[i] for i in ys], between)
    columns = dict(zip(bench.phones, zip(starts, sizes, strict=True), strict=True))
    for phone, x_speaker, members in bench.xs:
        to_all = apart[[rows[i] for i in members]]
        first, size = columns[phone]
        to_a = to_all[:, first : first + size]
        counted = np.array([[x != a for a in bench.phones[phone]] for x in members])
        lost = np.add.reduceat(_lost(to_a, to_all, counted), starts)
        for other, count, half_losses in zip(bench.phones, sizes, lost, strict=True):
            if other != phone:
                triples = int(counted.sum() * count)
                error = float(half_losses) / (2 * triples)
                yield Cell(phone, other, bench.context, bench.speaker, x_speaker, error, triples)


def _lost(to_a: np.ndarray, to_b: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Count, for each B, twice the pairs of X and A with B nearer than A, plus ties: int64 (B,)."""
    a, b = to_a[:, :, None], to_b[:, None, :]
    halves = (b < a).astype(np.int64) + (b <= a)
    return (halves * counted[:, :, None]).sum((0, 1))


def _distances(xs: Sequence[Tensor], ys: Sequence[Tensor], between: Callable[[Tensor, Tensor], Tensor]) -> np.ndarray:
    """Return the distance of each X to each Y: float64 (X, Y), in blocks of bounded memory."""
    to = torch.cat(list(ys)).double()
    lengths = torch.tensor([len(y) for y in ys])
    blocks, block, held = [], [], 0
    for x in xs:
        if block and (held + len(x)) * len(to) > COSTS_AT_ONCE:
            blocks.append(block)
            block, held = [], 0
        block.append(x)
        held += len(x)
    blocks.append(block)
    return np.concatenate([
        warp(between(torch.cat(part).double(), to), torch.tensor([len(x) for x in part]), lengths).numpy()
        for part in blocks
    ])  # fmt: skip


def _angular(x: Tensor, y: Tensor) -> Tensor:
    """Return the angle over pi of all pairs; 0 for two zero vectors, 1 for a zero vector and any other."""
    norms = x.norm(dim=1, keepdim=True), y.norm(dim=1, keepdim=True)
    x, y = (v / n.clamp(min=torch.finfo(n.dtype).tiny) for v, n in zip((x, y), norms, strict=True))
    products = ((x @ y.T) * _GRID).round_().div_(_GRID).clamp_(-1, 1)
    silent_x, silent_y = norms[0] == 0, (norms[1] == 0).T
    if silent_x.any() or silent_y.any():
        products[silent_x ^ silent_y] = -1
        products[silent_x & silent_y] = 1
    return products.arccos_().div_(math.pi)


def _euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Compute Euclidean distances without a matrix product, by which equal frames would not be at 0."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _identical(x: Tensor, y: Tensor) -> Tensor:
    return (x[:, None] != y).double()
