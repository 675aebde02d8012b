"""Figures of results: bit rate against word error rate, ABX, accuracy by frequency, likelihoods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slmzoo.evaluation.likelihood.zerospeech import BANDS
from slmzoo.evaluation.report.published import POINTS
from slmzoo.figures import dress, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Value", "abx_figure", "bands_figure", "likelihood_figure", "rate_figure", "values_of"]

_INK, _FAINT = "#222222", "#999999"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"
_BAND = "frequency_band"
_MOST_BINS = 60


@dataclass(frozen=True, kw_only=True)
class Value:
    """Score of a result, with its operating point as far as known."""

    result: str
    metric: str
    value: float
    low: float | None
    high: float | None
    subset: Mapping[str, str]
    k: int | None
    lmbda: float | None
    on: str = ""
    """Representation of a metric with several: "features" or "units" for ABX."""


def values_of(name: str, content: Mapping[str, Any]) -> list[Value]:
    """Return the defined scores of a result (`results.read`); `name`: its label in figures.

    The operating point is the score's subset `k` and `lmbda`, or else that of the conventions (for a suite, of the
    score's part). A suite's metrics, `<part>.<metric>`, keep their last word.
    """
    found: list[Value] = []
    for row in content["scores"]:
        part, _, metric = row["metric"].rpartition(".")
        if row["value"] is None or part == "originals":
            continue
        point = {**content["conventions"], **content["conventions"].get(part, {}), **row["subset"]}
        k, lmbda = point.get("k"), point.get("lmbda")
        found.append(
            Value(
                result=name,
                metric=metric,
                value=row["value"],
                low=row["low"],
                high=row["high"],
                subset=row["subset"],
                k=None if k is None else int(k),
                lmbda=None if lmbda is None else float(lmbda),
                on=point.get("on", ""),
            )
        )
    return found


def rate_figure(values: Sequence[Value], path: Path) -> bool:
    """Plot word error rate against bits per second, over the published points. False if no point has both."""
    rates = {_place(v): v for v in values if v.metric == "bit_rate"}
    errors = {_place(v): v for v in values if v.metric == "wer"}
    both = [(rates[place], errors[place]) for place in rates if place in errors]
    if not both:
        return False
    axes = _axes("bits per second", "word error rate, %")
    for marker, k in zip(_MARKERS, sorted({p.k for p in POINTS}), strict=False):
        xs, ys = zip(*((p.bits_per_second, p.wer) for p in POINTS if p.k == k), strict=True)
        axes.plot(xs, ys, marker=marker, ms=4, lw=0.8, color=_FAINT, label=f"published, k = {k}")
    for colour, k in zip(_COLOURS, sorted({rate.k or 0 for rate, _ in both}), strict=False):
        points = sorted((rate.value, 100 * wer.value, wer) for rate, wer in both if (rate.k or 0) == k)
        xs, ys, found = zip(*points, strict=True)
        label = f"measured, k = {k}" if k else "measured"
        axes.errorbar(xs, ys, yerr=_spans(found, 100), marker="o", ms=5, lw=1.2, capsize=3, color=colour, label=label)
    axes.set_ylim(bottom=0)
    return _finish(axes, path)


def abx_figure(values: Sequence[Value], path: Path) -> bool:
    """Plot ABX error rate against lambda, or points side by side for a single lambda. False if no lambda is known."""
    found = [v for v in values if v.metric.startswith("abx") and v.lmbda is not None]
    if not found:
        return False
    lmbdas = sorted({v.lmbda or 0.0 for v in found})
    single = len(lmbdas) == 1
    axes = _axes(f"λ = {lmbdas[0]:g}" if single else "λ", "ABX error rate, %")
    lines = sorted({_line(v) for v in found})
    labels = [_label(line, len({v.result for v in found}) > 1) for line in lines]
    for i, label in enumerate(labels):
        line = sorted((v for v in found if _line(v) == lines[i]), key=lambda v: v.lmbda or 0.0)
        xs, ys = [i if single else v.lmbda or 0.0 for v in line], [100 * v.value for v in line]
        look: dict[str, Any] = {"marker": _MARKERS[i % len(_MARKERS)], "color": _COLOURS[i % len(_COLOURS)]}
        axes.errorbar(xs, ys, yerr=_spans(line, 100), ms=5, lw=1.2, capsize=3, label=label, **look)
    if single:
        axes.set_xticks(range(len(lines)), [label.replace(", ", "\n") for label in labels])
        axes.set_xlim(-0.5, len(lines) - 0.5)
        axes.set_ylim(bottom=0)
    return _finish(axes, path, legend=not single)


def bands_figure(values: Sequence[Value], path: Path) -> bool:
    """Plot accuracy by word frequency. False if no result has frequency bands."""
    found = [v for v in values if _BAND in v.subset]
    if not found:
        return False
    bands = [band for band in BANDS if any(v.subset[_BAND] == band for v in found)]
    axes = _axes("occurrences of the word in the training text", "accuracy, %")
    for i, name in enumerate(dict.fromkeys(v.result for v in found)):
        own = [v for v in found if v.result == name]
        xs = [bands.index(v.subset[_BAND]) for v in own]
        ys = [100 * v.value for v in own]
        look: dict[str, Any] = {"marker": _MARKERS[i % len(_MARKERS)], "color": _COLOURS[i % len(_COLOURS)]}
        axes.errorbar(xs, ys, yerr=_spans(own, 100), ms=5, lw=1.2, capsize=3, label=name, **look)
    axes.axhline(50, color=_FAINT, lw=0.8, ls="--")
    axes.set_xticks(range(len(bands)), bands)
    return _finish(axes, path)


def likelihood_figure(rows: Sequence[Mapping[str, str]], path: Path) -> bool:
    """Plot log-likelihoods of right and wrong recordings: rows of a `loglikelihood` csv. False without both."""
    sides = {side: [float(row["value"]) for row in rows if row["side"] == side] for side in ("positive", "negative")}
    if not all(sides.values()):
        return False
    axes = _axes("log-likelihood, nats", "recordings")
    for colour, (side, found) in zip(_COLOURS, sides.items(), strict=False):
        label = "right" if side == "positive" else "wrong"
        edges = (min(map(min, sides.values())), max(map(max, sides.values())))
        bins = min(_MOST_BINS, math.ceil(math.sqrt(len(found))))
        axes.hist(found, bins, range=edges, histtype="stepfilled", alpha=0.45, color=colour, label=label)
    return _finish(axes, path)


def _place(value: Value) -> tuple[str, int | None, float | None]:
    return value.result, value.k, value.lmbda


def _line(value: Value) -> tuple[str, str, int, str]:
    return value.metric, value.on, value.k or 0, value.result


def _label(line: tuple[str, str, int, str], several: bool) -> str:
    """Return the label of a line; the result's name only appears beside others."""
    metric, on, k, result = line
    parts = (metric.removeprefix("abx_"), on, f"k = {k}" if k else "", result if several else "")
    return ", ".join(filter(None, parts))


def _spans(values: Sequence[Value], scale: float) -> list[list[float]]:
    """Return the extent of each interval below and above its value; 0 if unknown."""
    below = [scale * max(0.0, v.value - (v.value if v.low is None else v.low)) for v in values]
    above = [scale * max(0.0, (v.value if v.high is None else v.high) - v.value) for v in values]
    return [below, above]


def _axes(across: str, up: str) -> Axes:
    from matplotlib.figure import Figure

    axes = dress(Figure(figsize=(6.4, 4.2), dpi=120, layout="constrained").add_subplot())
    axes.tick_params(labelbottom=True)
    axes.set_xlabel(across, color=_INK, fontsize=10)
    axes.set_ylabel(up, color=_INK, fontsize=10)
    axes.grid(axis="y", color="#e6e6e6", lw=0.6)
    return axes


def _finish(axes: Axes, path: Path, legend: bool = True) -> bool:
    if legend:
        axes.legend(frameon=False, fontsize=8)
    figure: Any = axes.figure
    save(figure, path)
    return True
