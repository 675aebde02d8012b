"""Accuracy on pairs: how often what is right is likelier than what is wrong; a tie counts half."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slmzoo.evaluation.report.results import Problems

__all__ = ["Benchmark", "Pair", "accuracy", "likelihood_rows", "problems_of"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two recordings of which one is right."""

    item: str
    """Independent item that the pair belongs to, such as a word, which several voices speak."""
    positive: str
    """Id of the right recording."""
    negative: str
    """Id of the wrong one."""
    voice: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Values to group the item by; empty where unknown."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Pairs, the recordings they are made of, and what is wrong with them."""

    name: str
    pairs: Sequence[Pair]
    files: Mapping[str, Path]
    """Recordings by id; those that no pair names are left over."""
    by: Sequence[str] = ()
    """Columns whose values have a score of their own."""
    problems: Problems = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """The recordings that pairs name, each once, in their order."""
        return list(dict.fromkeys(name for pair in self.pairs for name in (pair.positive, pair.negative)))


def accuracy(pairs: Iterable[Pair], scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """A row for each item: `item`, `value` (mean over its voices), `pairs` (how many), and its columns.

    A pair whose recordings are not both scored is left out.
    """
    values: dict[str, list[float]] = defaultdict(list)
    columns: dict[str, Mapping[str, str]] = {}
    for pair in pairs:
        if pair.positive in scores and pair.negative in scores:
            right, wrong = scores[pair.positive], scores[pair.negative]
            values[pair.item].append(1.0 if right > wrong else 0.5 if right == wrong else 0.0)
            columns.setdefault(pair.item, pair.columns)
    return [
        {"item": item, "value": math.fsum(found) / len(found), "pairs": len(found), **columns[item]}
        for item, found in values.items()
    ]


def likelihood_rows(benchmark: Benchmark, scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """A row for each recording: `item` (its id), `value` (its score) and `side`."""
    sides = {p.negative: "negative" for p in benchmark.pairs} | {p.positive: "positive" for p in benchmark.pairs}
    return [{"item": name, "value": scores[name], "side": sides[name]} for name in benchmark.ids if name in scores]


def problems_of(benchmark: Benchmark, there: Iterable[str]) -> dict[str, list[str]]:
    """The benchmark's own problems, with recordings that are missing from `there`, and extra ones that no pair names.

    What its own problems name already is not extra.
    """
    known, present = set(benchmark.ids), set(there)
    named = {name for names in benchmark.problems.values() for name in names}
    found = {kind: list(names) for kind, names in benchmark.problems.items()}
    found["missing"] = sorted(found.get("missing", []) + list(known - present))
    found["extra"] = sorted(found.get("extra", []) + list(present - known - named))
    return {kind: names for kind, names in found.items() if names}
