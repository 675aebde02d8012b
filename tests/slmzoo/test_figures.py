"""The picture of units: made for speech of any length, and only as crowded as can be read."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

from slmcore.units import OperatingPoint, Units
from slmzoo.figures import label_places, spectrogram, units_figure


def tone(seconds: float, sr: int = 16000) -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * 1000 * torch.arange(int(seconds * sr)) / sr)[None]


def some_units(seconds: float, k: int = 100, frames: int = 5) -> Units:
    n = int(seconds * 50) // frames
    point = OperatingPoint(zoo="demo", k=k, lmbda=2.5)
    return Units(torch.arange(n) * 37 % k, torch.full((n,), frames), 50.0, point)


def picture(path: Path) -> np.ndarray:
    """Check that the file is a whole PNG and give it back, (height, width, channels)."""
    assert path.read_bytes().startswith(b"\x89PNG")
    return matplotlib.image.imread(path)


def test_the_resynthesis_adds_a_panel(tmp_path):
    wav = tone(2.0)
    units_figure(wav, 16000, some_units(2.0), None, tmp_path / "two.png")
    units_figure(wav, 16000, some_units(2.0), (tone(1.5, 24000), 24000), tmp_path / "three.png")
    two, three = picture(tmp_path / "two.png"), picture(tmp_path / "three.png")
    assert two.shape[1] == three.shape[1]
    assert two.shape[0] < three.shape[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["three.png", "two.png"]


def test_long_speech_goes_on_in_rows_of_bounded_size(tmp_path):
    units_figure(tone(400.0, 4000), 4000, some_units(400.0, 1000, 50), None, tmp_path / "long.png")
    units_figure(tone(1.0, 4000), 4000, some_units(1.0), None, tmp_path / "short.png")
    long, short = picture(tmp_path / "long.png"), picture(tmp_path / "short.png")
    assert 4 * short.shape[0] < long.shape[0] < 3000
    assert short.shape[1] < long.shape[1] < 2000


@pytest.mark.parametrize("samples", [0, 1, 320])
def test_short_and_empty_inputs(tmp_path, samples):
    none = Units(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), 50.0)
    units_figure(tone(1.0)[:, :samples], 16000, none, (torch.zeros(1, 0), 16000), tmp_path / "a.png")
    assert picture(tmp_path / "a.png").std() > 0


def test_silence_is_drawn(tmp_path):
    units_figure(torch.zeros(1, 16000), 16000, some_units(1.0), None, tmp_path / "a.png")
    picture(tmp_path / "a.png")


def test_units_are_visible(tmp_path):
    """Other units give another picture; the same give the same."""
    wav, units = tone(2.0), some_units(2.0)
    other = Units(units.units.flip(0), units.durations, 50.0, units.operating_point)
    for name, drawn in [("a", units), ("same", units), ("other", other)]:
        units_figure(wav, 16000, drawn, None, tmp_path / f"{name}.png")
    first, same, changed = (picture(tmp_path / f"{name}.png") for name in ("a", "same", "other"))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, changed)


def test_labels_never_touch_and_long_units_come_first():
    units = Units(torch.arange(100, 160), torch.tensor([2] * 59 + [40]), 50.0)
    places = label_places(units, 1.0)
    middles = ((units.boundaries()[1:] + units.boundaries()[:-1]) / 2)[places].tolist()
    assert 0 < len(places) < len(units)
    assert min(b - a for a, b in pairwise(middles)) > 0.2
    assert places[-1] == 59
    assert label_places(units, 100.0) == list(range(60))


def test_spectrogram_finds_the_tone():
    level = spectrogram(tone(1.0), 16000)
    hertz = level.mean(1).argmax() / level.shape[0] * 8000
    assert abs(float(hertz) - 1000) < 30
    assert level.max() == 0
    assert spectrogram(tone(1.0, 48000), 48000).shape[0] <= 48000 * 0.025 * 8 / 24 + 1
    assert spectrogram(tone(300.0, 4000), 4000).shape[1] < 10_100
    assert spectrogram(torch.zeros(1, 0), 16000).shape[1] == 0


def test_wrong_shapes_and_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"`wav` must be a tensor \(1, samples\)"):
        units_figure(torch.zeros(2, 400), 16000, some_units(1.0), None, tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        units_figure(tone(0.5), 16000, some_units(0.5), None, tmp_path / "nowhere" / "a.png")


def test_no_global_state(tmp_path):
    """The figure comes without pyplot and leaves matplotlib's settings as they are."""
    before = dict(matplotlib.rcParams)
    loaded = "matplotlib.pyplot" in sys.modules
    units_figure(tone(0.5), 16000, some_units(0.5), None, tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded
