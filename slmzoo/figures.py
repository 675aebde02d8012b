"""Figure of speech, its units and its resynthesis."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.files import atomic
from slmcore.units import Units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["dress", "label_places", "save", "spectrogram", "units_figure"]

_INK, _FAINT, _BAR = "#222222", "#777777", "#0072B2"
_DPI = 110
_HIGHEST_HZ = 8000
_WINDOW_SECONDS, _HOP_SECONDS = 0.025, 0.005
_MOST_COLUMNS = 10_000
_RANGE_DB = 75.0
_ROW_SECONDS, _MOST_ROWS = 12.0, 6
_NARROWEST, _WIDEST, _INCHES_A_SECOND = 9.0, 16.0, 3.0
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN_PANELS, _BETWEEN_ROWS = 0.75, 0.2, 0.5, 0.55, 0.12, 0.45
_SPECTROGRAM_INCHES, _UNITS_INCHES = 1.9, 1.4
_LABEL_SIZE = 7.5
_DIGIT_INCHES, _LABEL_GAP_INCHES = 0.068, 0.05
_LINES_AN_INCH = 12


def units_figure(
    wav: Tensor, sr: int, units: Units | None, resynthesis: tuple[Tensor, int] | None, path: str | Path
) -> None:
    """Write a PNG: spectrogram with unit boundaries, units over time, and resynthesis.

    `wav`: (1, samples) at `sr` Hz; `units`: of that wav, or None for a system without; `resynthesis`: a wav (1,
    samples) and its rate, may be of length zero, or None to leave it out. Long speech is wrapped into rows, like sheet
    music. Labels and boundaries are thinned out where they would touch. Raises ValueError for a wav of another shape,
    OSError if `path` cannot be written.
    """
    from matplotlib.figure import Figure

    wavs = [(wav, sr)] if resynthesis is None else [(wav, sr), resynthesis]
    there = [] if units is None else [units]
    seconds = max([0.1, *(each.seconds for each in there), *(_length(*each) for each in wavs)])
    rows = min(_MOST_ROWS, math.ceil(seconds / _ROW_SECONDS))
    span = seconds / rows
    width = min(_WIDEST, max(_NARROWEST, _LEFT + _RIGHT + _INCHES_A_SECOND * span))
    pictures = [spectrogram(*each) for each in wavs]
    inches_a_second = (width - _LEFT - _RIGHT) / span
    shown = [label_places(each, inches_a_second) for each in there]
    heights = [_SPECTROGRAM_INCHES, *[_UNITS_INCHES] * len(there), *[_SPECTROGRAM_INCHES] * (len(wavs) - 1)]
    figure = Figure(dpi=_DPI)
    panels = _panels(figure, rows, heights, width)
    for row, axes in enumerate(panels):
        for panel in axes:
            panel.set_xlim(row * span, (row + 1) * span)
        _draw_spectrogram(axes[0], pictures[0], *wavs[0], "original")
        for each, labelled in zip(there, shown, strict=True):
            _draw_units_over(axes[0], each, labelled, _LINES_AN_INCH * inches_a_second)
            _draw_units_along(axes[1], each)
        if resynthesis is not None:
            _draw_spectrogram(axes[-1], pictures[1], *resynthesis, "resynthesis")
    panels[0][0].set_title(_title(units, wavs), loc="left", color=_INK, fontsize=10)
    panels[-1][-1].set_xlabel("seconds", color=_INK, fontsize=9)
    save(figure, Path(path))


def spectrogram(wav: Tensor, sr: int) -> Tensor:
    """Return the power in dB below the loudest cell, up to 8 kHz: (rows from low to high, columns).

    There are at most about 10 000 columns, none for an empty wav.
    """
    if wav.shape[-1] == 0:
        return torch.zeros(1, 0)
    size = max(2, int(_WINDOW_SECONDS * sr))
    hop = max(1, int(_HOP_SECONDS * sr), wav.shape[-1] // _MOST_COLUMNS)
    padded = torch.nn.functional.pad(wav[0].detach().cpu().float(), (size // 2, size - size // 2))
    frames = padded.unfold(0, size, hop) * torch.hann_window(size)
    power = torch.fft.rfft(frames, n=2 * size).abs().square().T
    rows = math.ceil(min(sr / 2, _HIGHEST_HZ) / (sr / 2) * power.shape[0])
    level = 10 * power[:rows].clamp(min=1e-10).log10()
    return (level - level.max()).clamp(min=-_RANGE_DB)


def label_places(units: Units, inches_a_second: float) -> list[int]:
    """Return the indices of units with room for their number at that scale, the longest units first."""
    edges = (units.boundaries() * inches_a_second).tolist()
    names = [str(unit) for unit in units.units.tolist()]
    placed: list[int] = []
    cells: dict[int, list[tuple[float, float]]] = {}
    for i in sorted(range(len(names)), key=lambda i: edges[i] - edges[i + 1]):
        half = (len(names[i]) * _DIGIT_INCHES + _LABEL_GAP_INCHES) / 2
        left, right = (edges[i] + edges[i + 1]) / 2 - half, (edges[i] + edges[i + 1]) / 2 + half
        near = [span for cell in range(int(left) - 1, int(right) + 2) for span in cells.get(cell, [])]
        if all(right <= start or end <= left for start, end in near):
            placed.append(i)
            cells.setdefault(int(left), []).append((left, right))
    return sorted(placed)


def _panels(figure: Figure, rows: int, heights: list[float], width: float) -> list[list[Axes]]:
    """Make axes for each row from top to bottom, laid out in inches so that text and images keep their size."""
    row_height = sum(heights) + _BETWEEN_PANELS * (len(heights) - 1)
    height = _TOP + rows * row_height + (rows - 1) * _BETWEEN_ROWS + _BOTTOM
    figure.set_size_inches(width, height)
    panels: list[list[Axes]] = []
    for row in range(rows):
        top = height - _TOP - row * (row_height + _BETWEEN_ROWS)
        axes: list[Axes] = []
        for tall in heights:
            inches = (_LEFT / width, (top - tall) / height, (width - _LEFT - _RIGHT) / width, tall / height)
            axes.append(dress(figure.add_axes(inches)))
            top -= tall + _BETWEEN_PANELS
        axes[-1].tick_params(labelbottom=True)
        panels.append(axes)
    return panels


def _draw_spectrogram(axes: Axes, picture: Tensor, wav: Tensor, sr: int, name: str) -> None:
    seconds, top = _length(wav, sr), min(sr / 2, _HIGHEST_HZ) / 1000
    left, right = axes.get_xlim()
    axes.set_ylabel(f"{name}, kHz", color=_INK, fontsize=9)
    axes.set_ylim(0, _HIGHEST_HZ / 1000)
    if picture.shape[1] == 0:
        axes.text(0.5, 0.5, "no sound", transform=axes.transAxes, ha="center", va="center", color=_FAINT, fontsize=12)
        return
    first, last = (round(edge / seconds * picture.shape[1]) for edge in (left, min(right, seconds)))
    if first < last:
        extent = (left, min(right, seconds), 0.0, top)
        part = picture[:, first:last].numpy()
        axes.imshow(part, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-_RANGE_DB, vmax=0)
        axes.set_xlim(left, right)
        axes.set_ylim(0, _HIGHEST_HZ / 1000)


def _draw_units_over(axes: Axes, units: Units, labelled: list[int], lines_a_second: float) -> None:
    """Draw boundaries as thin lines, fainter where they are dense, and unit numbers along the upper edge."""
    from matplotlib.patheffects import Stroke, withStroke

    left, right = axes.get_xlim()
    edges = units.boundaries().tolist()
    inside = [edge for edge in edges[1:-1] if left < edge < right]
    strength = min(0.55, 0.55 * lines_a_second * (right - left) / max(1, len(inside)))
    axes.vlines(inside, 0, _HIGHEST_HZ / 1000, colors="white", lw=0.7, alpha=strength)
    outline: list[Stroke] = [withStroke(linewidth=2.0, foreground="#000000aa")]
    margin = 0.01 * (right - left)
    for i in labelled:
        middle = (edges[i] + edges[i + 1]) / 2
        if left + margin < middle < right - margin:
            name = str(int(units.units[i]))
            look = {"color": "white", "fontsize": _LABEL_SIZE, "ha": "center", "va": "center"}
            axes.text(middle, 7.5, name, **look, path_effects=outline)


def _draw_units_along(axes: Axes, units: Units) -> None:
    """Draw a piano roll: a bar at the height of each unit's number, of its duration."""
    from matplotlib.ticker import MaxNLocator

    k = units.operating_point.k if units.operating_point is not None else None
    highest = max(1, k - 1 if k else int(units.units.max()) if len(units) else 1)
    axes.set_ylabel("unit", color=_INK, fontsize=9)
    axes.set_ylim(-0.06 * highest, 1.06 * highest)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y", color="#e6e6e6", lw=0.6)
    edges, values = units.boundaries(), units.units
    axes.vlines(edges[1:-1], values[:-1], values[1:], colors=_BAR, lw=0.5, alpha=0.2)
    axes.hlines(values, edges[:-1], edges[1:], colors=_BAR, lw=3.2)


def _title(units: Units | None, wavs: list[tuple[Tensor, int]]) -> str:
    about = [] if units is None else _about(units)
    lasts = [f"resynthesis of {_length(*wavs[1]):.2f} s"] if len(wavs) > 1 else []
    return "    ".join([f"{_length(*wavs[0]):.2f} s", *about, *lasts])


def _about(units: Units) -> list[str]:
    """Describe the units: number, rate and operating point."""
    point = units.operating_point
    known = {"k": point.k, "λ": point.lmbda} if point is not None else {}
    rate = [f"{len(units) / units.seconds:.1f} per second"] if len(units) else []
    return [f"{len(units)} units", *rate, *(f"{name} = {v:g}" for name, v in known.items() if v is not None)]


def dress(axes: Axes) -> Axes:
    """Style the axes: thin lines on the left and below, ticks below without labels."""
    axes.tick_params(colors=_FAINT, labelcolor=_INK, labelsize=8, length=3, labelbottom=False)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#bbbbbb")
    return axes


def _length(wav: Tensor, sr: int) -> float:
    """Return the seconds of a wav (1, samples)."""
    if wav.ndim != 2 or wav.shape[0] != 1:
        raise ValueError(must("wav", "a tensor (1, samples)", f"a tensor {tuple(wav.shape)}"))
    return wav.shape[1] / sr


def save(figure: Figure, path: Path) -> None:
    """Write a PNG atomically."""
    with atomic.writing(path) as file:
        figure.savefig(file, format="png")
