"""Table and figure of the experiment, and its conclusion by a rule set beforehand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slmcore.files import atomic
from slmzoo.evaluation.report.statistics import Bootstrap, Interval, clustered, compare
from slmzoo.figures import dress, save
from slmzoo.recipes.distillation.arms import ARMS
from slmzoo.recipes.distillation.measures import Values

__all__ = ["Measured", "answer", "table", "write"]

Measured = Mapping[str, Sequence[Mapping[str, Values]]]
"""For each arm the measures of every seed."""

_LEARNABLE = "denoising error"
_QUALITY = "mel distance, codes of"
_COLOUR, _DPI = "#0072B2", 100


def write(folder: Path, measured: Measured, size: Mapping[str, Any]) -> str:
    """Write report.md and figure.png, and return the report's text."""
    title = "# Is distillation needed where a diffusion model is to live on the latents?\n\n"
    sizes = ", ".join(f"{name} {value}" for name, value in size.items())
    arms = "".join(f"- {arm}: {ARMS[arm][0]}\n" for arm in measured)
    note = (
        f"\nSize of this run: {sizes}. A demo on synthetic speech: its numbers compare the arms with each other, and\n"
        "never with published codecs. Intervals are 95 % of bootstrap resamples: of sentences, and of pairs of phones\n"
        "for ABX. Differences are those to arm A on the same items.\n\n"
    )
    text = f"{title}{arms}{note}{table(measured)}\n{answer(measured)}\n"
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(folder / "report.md", text.encode())
    _draw(measured, folder / "figure.png")
    return text


def table(measured: Measured) -> str:
    """Return the measures as a Markdown table: for each arm the value, and for all but A the difference to A."""
    arms = list(measured)
    heads = [arm if arm == "A" else f"{arm} | {arm} - A" for arm in arms]
    lines = [f"| measure | {' | '.join(heads)} |", "|---" * (1 + len(arms) + sum(arm != "A" for arm in arms)) + "|"]
    for name in _names(measured):
        cells = []
        for arm in arms:
            cells.append(_shown(_interval(measured[arm], name)))
            if arm != "A":
                cells.append(_shown(_difference(measured, arm, name), signed=True) if "A" in measured else "-")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def answer(measured: Measured) -> str:
    """Return the conclusion from the denoiser's errors and the copies from codes of C and D against A."""
    if "A" not in measured:
        return "Without arm A there is nothing to compare with."
    lines = []
    for arm in (arm for arm in ("C", "D") if arm in measured):
        learnable = [_difference(measured, arm, name) for name in _names(measured) if name.startswith(_LEARNABLE)]
        quality = [_difference(measured, arm, name) for name in _names(measured) if name.startswith(_QUALITY)]
        lower, higher = sum(map(_below, learnable)), sum(map(_above, learnable))
        worse = sum(map(_above, quality))
        lines.append(
            f"{arm}: of {len(learnable)} noise levels the denoiser's error is lower than in A in {lower} and higher in "
            f"{higher}; of {len(quality)} mel distances of copies from codes {worse} are worse. "
            f"{_verdict(lower, higher, worse)}"
        )
    return "\n".join(lines)


def _verdict(lower: int, higher: int, worse: int) -> str:
    if lower and not higher:
        return "By this run distillation is of use." if not worse else "By this run it helps at the cost of quality."
    if higher and not lower:
        return "By this run distillation makes the latents harder to learn."
    return "By this run distillation is not needed for the latents." if not lower else "By this run it is not decided."


def _below(interval: Interval) -> bool:
    return interval.high is not None and interval.high < 0


def _above(interval: Interval) -> bool:
    return interval.low is not None and interval.low > 0


def _names(measured: Measured) -> list[str]:
    return list(dict.fromkeys(name for seeds in measured.values() for one in seeds for name in one))


def _joined(seeds: Sequence[Mapping[str, Values]], name: str) -> Values:
    """Values of all seeds; items keep their names, so that the bootstrap resamples whole items."""
    parts = [one[name] for one in seeds if name in one]
    return Values(*([x for one in parts for x in getattr(one, part)] for part in ("items", "values", "weights")))


def _interval(seeds: Sequence[Mapping[str, Values]], name: str) -> Interval:
    joined = _joined(seeds, name)
    statistic, items = clustered(joined.values, joined.items, joined.weights)
    return Bootstrap().interval(statistic, items)


def _difference(measured: Measured, arm: str, name: str) -> Interval:
    first, second = _joined(measured["A"], name), _joined(measured[arm], name)
    if first.items != second.items:
        return Interval(value=None, low=None, high=None)
    weights = (first.weights, second.weights)
    return compare(first.values, second.values, weights, clusters=first.items).difference


def _shown(interval: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if interval.value is None:
        return "-"
    if interval.low is None or interval.high is None or math.isclose(interval.low, interval.high):
        return f"{interval.value:{sign}.3g}"
    return f"{interval.value:{sign}.3g} ({interval.low:{sign}.3g} to {interval.high:{sign}.3g})"


def _draw(measured: Measured, path: Path) -> None:
    """A panel for each measure with a value and an interval for each arm."""
    from matplotlib.figure import Figure

    names, columns = _names(measured), 4
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(3.6 * columns, 1.7 * rows), dpi=_DPI, layout="constrained")
    for place, name in enumerate(names):
        axes = dress(figure.add_subplot(rows, columns, place + 1))
        axes.set_title(name, fontsize=8, loc="left")
        for y, arm in enumerate(reversed(list(measured))):
            interval = _interval(measured[arm], name)
            if interval.value is not None:
                low, high = (interval.value if end is None else end for end in (interval.low, interval.high))
                axes.plot([low, high], [y, y], color=_COLOUR, lw=2)
                axes.plot(interval.value, y, "o", color=_COLOUR, ms=5)
        axes.set_yticks(range(len(measured)), list(reversed(list(measured))), fontsize=8)
        axes.tick_params(labelsize=7)
    save(figure, path)
