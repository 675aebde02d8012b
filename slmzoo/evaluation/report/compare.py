"""Comparison of two results on the same items: paired differences by metric and subset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmzoo.evaluation.report.results import CLUSTER, GROUP, items_of, read
from slmzoo.evaluation.report.statistics import Bootstrap, Comparison, compare

__all__ = ["Difference", "cautions", "compare_results"]

_POINT = ("zoo", "k", "lmbda", "num_neighbors", "layer")
"""Conventions in which compared systems may differ."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Difference of one score between two results."""

    metric: str
    subset: Mapping[str, str]
    comparison: Comparison


def compare_results(first: str | Path, second: str | Path, bootstrap: Bootstrap | None = None) -> list[Difference]:
    """Compare each score of both results over their shared items. Raises ValueError if there is none.

    The scores are those over the shared items. Items that the metric resamples together, by its csv, are resampled
    together here; `comparison.items` is their number.
    """
    one, other = read(first), read(second)
    for path, content in ((first, one), (second, other)):
        if not content["csv"]:
            raise ValueError(
                f"{path} has no csv of items. Results of `slmzoo eval` can be compared by metrics with one."
            )
    metrics = [metric for metric in one["csv"] if metric in other["csv"]]
    if one["task"] != other["task"] or not metrics:
        raise ValueError(f"{first} ({one['task']}) and {second} ({other['task']}) have no metric in common.")
    found: list[Difference] = []
    for metric in metrics:
        theirs = {row["item"]: row for row in items_of(second, metric)}
        pairs = [(row, theirs[row["item"]]) for row in items_of(first, metric) if row["item"] in theirs]
        subsets = [s["subset"] for s in one["scores"] if s["metric"] == metric and _has(other, metric, s["subset"])]
        found += [_difference(metric, subset, pairs, bootstrap or Bootstrap()) for subset in subsets]
    if not any(each.comparison.items for each in found):
        what = "items" if found else "subsets of a metric"
        raise ValueError(f"{first} and {second} have no {what} in common. Compare results of the same data.")
    return found


def cautions(first: str | Path, second: str | Path) -> list[str]:
    """Return reasons why a comparison may mislead: different conventions, and incomplete data."""
    contents = [read(first), read(second)]
    one, other = (dict(_flat(content["conventions"])) for content in contents)
    apart = [
        f"{name} ({one.get(name)} and {other.get(name)})"
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
    found = [f"These results differ in their conventions: {', '.join(apart)}."] if apart else []
    for path, content in zip((first, second), contents, strict=True):
        if not content["complete"]:
            wrong = ", ".join(f"{len(names)} {kind}" for kind, names in content["problems"].items())
            found.append(f"{path} is not complete: {wrong}.")
    return found


def _flat(conventions: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return all conventions but the operating point, those of a suite's parts as `<part>.<name>`."""
    for name, value in conventions.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif name.split(",")[0] not in _POINT:
            yield f"{prefix}{name}", value


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
