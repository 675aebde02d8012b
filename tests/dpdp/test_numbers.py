from __future__ import annotations

import numpy as np
import pytest
import torch

from dpdp import DPDPQuantizer, OnlineDPDP


def test_numbers_of_numpy_are_numbers():
    codebook, features = torch.randn(9, 4), torch.randn(30, 4)
    plain = DPDPQuantizer(codebook, 2.0, 3)
    for lmbda in (np.float32(2), np.float64(2), np.int64(2), 2):
        made = DPDPQuantizer(codebook, lmbda, np.int64(3))
        assert (made.lmbda, made.num_neighbors) == (2.0, 3)
        assert type(made.lmbda) is float
        assert type(made.num_neighbors) is int
        assert torch.equal(made(features)[1], plain(features)[1])
    for wrong in (True, np.bool_(True), 3.0, "3"):
        with pytest.raises(TypeError, match="num_neighbors"):
            DPDPQuantizer(codebook, 2.0, wrong)
    for wrong in (True, np.bool_(True), "3", None):
        with pytest.raises(TypeError, match="lmbda"):
            DPDPQuantizer(codebook, wrong)


def test_delays_are_whole_numbers():
    codebook, features = torch.randn(9, 4), torch.randn(30, 4)
    units = [OnlineDPDP(codebook, 2.0, max_delay=delay).push(features) for delay in (np.int64(4), 4)]
    assert torch.equal(*units)
    for wrong in (True, 4.0, -1, "4"):
        with pytest.raises(ValueError, match="max_delay"):
            OnlineDPDP(codebook, 2.0, max_delay=wrong)
