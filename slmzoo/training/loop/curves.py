"""A picture of how a run's figures went."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path

from slmcore.files.places import write_bytes
from slmzoo.training.loop.run import Run

__all__ = ["draw_curves"]

_TRAIN, _HELD_OUT, _INK = "#0072B2", "#D55E00", "#222222"
_NOT_DRAWN = frozenset({"seconds"})
_COLUMNS, _WIDTH, _HEIGHT, _DPI = 3, 4.2, 2.6, 100


def draw_curves(run: Run) -> Path | None:
    """Write `curves.png` in the run folder, a panel for each figure, held-out values over those in training.

    The loss over steps is cut off at the top so that the first steps do not flatten the rest. None without figures.
    """
    from matplotlib.figure import Figure

    train, held_out = run.train.columns(), run.validation.columns()
    names = [name for name in dict.fromkeys([*train, *held_out]) if name not in _NOT_DRAWN]
    if not names:
        return None
    rows = math.ceil(len(names) / _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _WIDTH, rows * _HEIGHT), dpi=_DPI, layout="constrained")
    for place, name in enumerate(names):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        axes.set_title(name, loc="left", color=_INK, fontsize=9)
        axes.tick_params(labelsize=8)
        for columns, colour, label in ((train, _TRAIN, "training"), (held_out, _HELD_OUT, "held out")):
            if name in columns:
                axes.plot(*columns[name], color=colour, lw=1, label=label, marker="." if label == "held out" else None)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, frameon=False)
    figure.supxlabel("step", fontsize=9)
    content, path = BytesIO(), run.path / "curves.png"
    figure.savefig(content, format="png")
    write_bytes(path, content.getvalue())
    return path
