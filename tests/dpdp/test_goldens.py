from __future__ import annotations

import pytest
import torch

from dpdp import DPDPQuantizer, objective
from tests.reference.recipe import golden_json, golden_npz

FIGURES, ARRAYS = golden_json("dpdp"), golden_npz("dpdp")


@pytest.mark.parametrize("case", sorted(FIGURES))
def test_reaches_the_golden_optimum(case: str) -> None:
    size, lmbda, neighbors = case.split("/")
    features, codebook = (torch.from_numpy(ARRAYS[f"{size}/{name}"]) for name in ("features", "codebook"))
    weight = float(lmbda.removeprefix("lmbda"))
    n = None if neighbors == "nnNone" else int(neighbors.removeprefix("nn"))
    _, units = DPDPQuantizer(codebook, weight, n)(features)

    distances = torch.cdist(features.double(), codebook.double()).square()
    best = FIGURES[case]["cost"]
    assert objective(distances, units, weight) <= best + 1e-6 * abs(best)
    assert len(units.unique_consecutive()) == FIGURES[case]["segments"]
    assert (units.numpy() == ARRAYS[case]).all()
