from __future__ import annotations

import torch
from torch import nn

from slmcore.files.checkpoint import fold_weight_norm
from slmcore.layers.seanet import SEANetConfig, SEANetDecoder, SEANetEncoder
from slmcore.layers.weight_norm import add_weight_norm

SIZES = SEANetConfig(strides=(2, 3), n_filters=4, dimension=8, causal=True, pad_mode="constant")


def pair() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(SEANetEncoder(SIZES), SEANetDecoder(SIZES))


def test_outputs_stay_and_folded_weights_are_those_of_the_plain_model() -> None:
    plain, normed = pair(), pair()
    add_weight_norm(normed)
    wav = torch.randn(2, 60)
    assert torch.allclose(plain(wav), normed(wav), atol=1e-6)
    folded = fold_weight_norm(normed.state_dict())
    assert folded.keys() == plain.state_dict().keys()
    assert all(torch.allclose(folded[key], value, atol=1e-6) for key, value in plain.state_dict().items())


def test_a_trained_model_folds_to_one_that_computes_the_same() -> None:
    normed, plain = pair(), pair()
    add_weight_norm(normed)
    add_weight_norm(normed)
    optimizer = torch.optim.SGD(normed.parameters(), lr=0.1)
    before = {key: value.clone() for key, value in normed.named_parameters()}
    normed(torch.randn(2, 60)).square().mean().backward()
    optimizer.step()
    moved = [key for key, value in normed.named_parameters() if not torch.equal(value, before[key])]
    assert len(moved) == len(before)
    plain.load_state_dict(fold_weight_norm(normed.state_dict()))
    wav = torch.randn(1, 90)
    assert torch.allclose(plain(wav), normed(wav), atol=1e-5)


def test_the_magnitude_has_one_value_for_each_output_and_for_each_input_of_a_transposed_convolution() -> None:
    normed = pair()
    add_weight_norm(normed)
    shapes = {key: tuple(value.shape) for key, value in normed.state_dict().items() if key.endswith("original0")}
    assert shapes["0.model.0.parametrizations.weight.original0"] == (4, 1, 1)
    transposed = [m for m in normed.modules() if isinstance(m, nn.ConvTranspose1d)]
    assert [m.parametrizations.weight.original0.shape for m in transposed] == [(16, 1, 1), (8, 1, 1)]
    assert len(shapes) == sum(isinstance(m, (nn.Conv1d, nn.ConvTranspose1d)) for m in normed.modules())
