from __future__ import annotations

import numpy as np
import pytest
import torch

from dpdp import DPDPQuantizer, OnlineDPDP, dpwfst, objective
from tests.reference import goldens
from tests.reference.dpdp_brute import limited

pytestmark = pytest.mark.golden
FIGURES, ARRAYS = goldens.load("dpdp")


def online(features: torch.Tensor, codebook: torch.Tensor, lmbda: float, n: int | None) -> torch.Tensor:
    stream = OnlineDPDP(codebook, lmbda, n)
    return torch.cat([*(stream.push(part) for part in features.split(7)), stream.flush()])


WAYS = {
    "forward": lambda x, c, lmbda, n: DPDPQuantizer(c, lmbda, n)(x)[1],
    "segment": lambda x, c, lmbda, n: DPDPQuantizer(c, lmbda, n).segment(x).framewise(),
    "dpwfst": lambda x, c, lmbda, n: dpwfst(x, c, lmbda, n)[0].long(),
    "online": online,
}


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("case", sorted(FIGURES))
def test_reaches_the_golden_optimum(case: str, way: str) -> None:
    size, lmbda, neighbors = case.split("/")
    features, codebook = (torch.from_numpy(ARRAYS[f"{size}/{name}"]) for name in ("features", "codebook"))
    weight = float(lmbda.removeprefix("lmbda"))
    n = None if neighbors == "nnNone" else int(neighbors.removeprefix("nn"))
    units = WAYS[way](features, codebook, weight, n)

    distances = torch.cdist(features.double(), codebook.double()).square().numpy()
    best = FIGURES[case]["cost"]
    value = objective(torch.from_numpy(limited(distances, n or len(codebook))), units, weight)
    assert value == pytest.approx(best, rel=1e-6)
    assert len(units.unique_consecutive()) == FIGURES[case]["segments"]
    assert np.array_equal(units.numpy(), ARRAYS[case])
