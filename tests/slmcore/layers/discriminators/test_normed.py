from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from slmcore.layers.discriminators.normed import SpectralNormed, WeightNormed


def convolution() -> nn.Conv1d:
    torch.manual_seed(3)
    return nn.Conv1d(4, 6, 5, 2, 2, groups=2)


def oracle(name: str) -> nn.Module:
    """The same convolution under torch's own hook, which has the published names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(nn.utils, name)(convolution())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("ours", "name"), [(WeightNormed, "weight_norm"), (SpectralNormed, "spectral_norm")])
def test_outputs_gradients_and_states_are_those_of_torchs_own_norms(ours, name: str, training: bool) -> None:
    module, theirs = ours(convolution()).train(training), oracle(name).train(training)
    assert list(module.state_dict()) == list(theirs.state_dict())
    module.load_state_dict(theirs.state_dict())
    for seed in range(2):  # each call in training moves the spectral norm's vectors
        torch.manual_seed(seed)
        x = torch.randn(3, 4, 11)
        a, b = module(x), theirs(x)
        assert torch.allclose(a, b, atol=1e-6)
        a.square().sum().backward()
        b.square().sum().backward()
    for (key, mine), other in zip(module.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-4), key
    for key, value in theirs.state_dict().items():
        assert torch.allclose(module.state_dict()[key], value, atol=1e-6)


def test_both_calls_of_a_step_can_be_differentiated_after_the_second() -> None:
    module = SpectralNormed(convolution()).train()
    losses = [module(torch.randn(1, 4, 9)).square().sum() for _ in range(2)]
    sum(losses).backward()
    assert float(module.weight_orig.grad.abs().max()) > 0


def test_a_convolution_starts_as_it_was() -> None:
    x = torch.randn(2, 4, 9)
    assert torch.allclose(WeightNormed(convolution())(x), convolution()(x), atol=1e-6)


def test_weights_are_computed_in_float32_under_autocast() -> None:
    for module in (WeightNormed(convolution()), SpectralNormed(convolution()).eval()):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert module.weight().dtype == torch.float32
            found = module(torch.ones(1, 4, 9))
        assert found.dtype == torch.bfloat16
        assert torch.allclose(found.float(), module(torch.ones(1, 4, 9)), rtol=0.02, atol=0.02)
