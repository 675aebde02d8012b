"""Two results on the same items: paired differences, metric by metric and subset by subset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmzoo.evaluation.results import CLUSTER, GROUP, items_of, read
from slmzoo.evaluation.statistics import Bootstrap, Comparison, compare

__all__ = ["Difference", "compare_results"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One score of two results."""

    metric: str
    subset: Mapping[str, str]
    comparison: Comparison


def compare_results(first: str | Path, second: str | Path, bootstrap: Bootstrap | None = None) -> list[Difference]:
    """Each score that both results have, compared over the items that both have. Raises ValueError if there is none.

    The scores are those over the shared items. What the metric draws together, as its csv says, is drawn together
    here; `comparison.items` says how many are drawn.
    """
    one, other = read(first), read(second)
    metrics = [metric for metric in one["csv"] if metric in other["csv"]]
    if one["task"] != other["task"] or not metrics:
        raise ValueError(f"{first} ({one['task']}) and {second} ({other['task']}) have no metric in common.")
    found: list[Difference] = []
    for metric in metrics:
        theirs = {row["item"]: row for row in items_of(second, metric)}
        pairs = [(row, theirs[row["item"]]) for row in items_of(first, metric) if row["item"] in theirs]
        subsets = [s["subset"] for s in one["scores"] if s["metric"] == metric and _has(other, metric, s["subset"])]
        found += [_difference(metric, subset, pairs, bootstrap or Bootstrap()) for subset in subsets]
    return found


def _has(content: Mapping[str, Any], metric: str, subset: Mapping[str, str]) -> bool:
    return any(score["metric"] == metric and score["subset"] == subset for score in content["scores"])


def _difference(
    metric: str, subset: Mapping[str, str], pairs: list[tuple[dict[str, str], dict[str, str]]], bootstrap: Bootstrap
) -> Difference:
    chosen = [(a, b) for a, b in pairs if all(a[c] == b[c] == v for c, v in subset.items())]
    first, second = ([float(pair[side]["value"]) for pair in chosen] for side in (0, 1))
    weights = tuple([float(pair[side].get("weight") or 1) for pair in chosen] for side in (0, 1))
    clusters, groups = ([row[column] for row, _ in chosen if column in row] for column in (CLUSTER, GROUP))
    found = compare(first, second, (weights[0], weights[1]), bootstrap, clusters, groups)
    return Difference(metric=metric, subset=subset, comparison=found)
