"""Figures of a language model: beside n-grams, and on shuffled units."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from slmzoo.recipes.demo.measure_language import measure
from slmzoo.training.data.unit_files import Spoken


class Ascending:
    """A model by which each unit has one bit, and each sequence that ever descends two a unit."""

    def loglikelihoods(self, ids: list[Tensor], reduction: str) -> list[float]:
        assert reduction == "mean"
        assert all(x[0] == 0 for x in ids)
        return [-math.log(2) * (2 if (x.diff() < 0).any() else 1) for x in ids]


def spoken(*units: int) -> Spoken:
    """An utterance of these units, each of two frames."""
    return Spoken(name="a", chapter="a", framewise=torch.tensor(units).repeat_interleave(2))


def test_bits_are_per_unit_and_the_order_is_heard() -> None:
    model: Any = Ascending()
    held_out = [spoken(*range(8)), spoken(*range(7, -1, -1))]
    found = measure(model, 8, held_out, [spoken(*range(8))] * 40)
    assert found["test_sentences"] == 2
    assert found["bits_per_unit"] == pytest.approx(1.5)
    assert found["unigram_bits_per_unit"] == pytest.approx(3.0)
    # Shuffled, the ascending sentence descends; the other descends either way.
    assert found["real_beats_shuffled"] == 0.5
    ascending = measure(model, 8, held_out[:1], [spoken(*range(8))] * 40)
    assert ascending["trigram_bits_per_unit"] < 0.2 < ascending["unigram_bits_per_unit"]
    assert ascending["real_beats_shuffled"] == 1.0
