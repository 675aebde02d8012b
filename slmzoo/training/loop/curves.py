"""Plot of a run's training curves."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from slmcore.files.places import write_bytes
from slmzoo.training.loop.run import Run, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curves_figure", "draw_curves"]

_TRAIN, _HELD_OUT, _INK = "#0072B2", "#D55E00", "#222222"
_NOT_DRAWN = frozenset({"seconds"})
_COLUMNS, _WIDTH, _HEIGHT, _DPI = 3, 4.2, 2.6, 100


def draw_curves(run: Run) -> Path | None:
    """Write `curves.png` in the run folder, or nothing without figures."""
    figure, path = curves_figure(run), run.path / "curves.png"
    if figure is None:
        return None
    content = BytesIO()
    figure.savefig(content, format="png")
    write_bytes(path, content.getvalue())
    return path


def curves_figure(run: Run) -> Figure | None:
    """Draw a panel per logged figure, held-out values over training values; None if no figure has a finite value."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    curves = [(_finite(run.train), _TRAIN, "training"), (_finite(run.validation), _HELD_OUT, "held out")]
    names = [name for name in dict.fromkeys(n for found, _, _ in curves for n in found) if name not in _NOT_DRAWN]
    if not names:
        return None
    rows = math.ceil(len(names) / _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _WIDTH, rows * _HEIGHT), dpi=_DPI, layout="constrained")
    for place, name in enumerate(names):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        axes.set_title(name, loc="left", color=_INK, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for found, colour, label in curves:
            if name in found:
                # A line of a single point would be invisible.
                dots = label == "held out" or len(found[name][0]) == 1
                axes.plot(*found[name], color=colour, lw=1, label=label, marker="." if dots else None)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, frameon=False)
    figure.supxlabel("step", fontsize=9)
    return figure


def _finite(table: Table) -> dict[str, tuple[list[int], list[float]]]:
    """Return the columns with a value to draw."""
    return {name: found for name, found in table.columns().items() if any(map(math.isfinite, found[1]))}
