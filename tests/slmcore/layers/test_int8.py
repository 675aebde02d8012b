from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from slmcore.layers.int8 import Scheme, quantize_linears, together
from slmcore.layers.transformer import Form, Transformer, TransformerConfig

SCHEMES: tuple[Scheme, ...] = ("int8", "int8-weight-only")
CONFIG = TransformerConfig(
    dim=64, n_layers=2, head_dim=16, hidden_dim=96, n_heads=4, n_kv_heads=2, vocab_size=41, output_bias=True
)


def linear(inputs: int = 48, outputs: int = 33, bias: bool = True) -> nn.Linear:
    torch.manual_seed(3)
    return nn.Linear(inputs, outputs, bias=bias)


def quantized(module: nn.Module, scheme: Scheme) -> nn.Module:
    holder = nn.Sequential(copy.deepcopy(module))
    quantize_linears(holder, scheme)
    return holder[0]


def by_hand(layer: nn.Linear, x: Tensor) -> Tensor:
    """Both sides rounded to a byte, as the equations say, in float64."""
    weight, x = layer.weight.double(), x.double()
    steps = weight.abs().amax(1) / 127
    size = x.abs().amax(-1, keepdim=True) / 127
    product = torch.floor(x / size + 0.5) @ (weight / steps[:, None]).round().T
    return product * size * steps + (0 if layer.bias is None else layer.bias.double())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 48), (7, 48), (2, 3, 48), (40, 48)])
def test_bytes_are_multiplied_exactly(shape: tuple[int, ...], bias: bool) -> None:
    layer, x = linear(bias=bias), torch.randn(shape)
    torch.testing.assert_close(quantized(layer, "int8")(x).double(), by_hand(layer, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 48), (2, 48), (40, 48), (2, 3, 48)])
def test_weights_alone_lose_what_bfloat16_loses(shape: tuple[int, ...]) -> None:
    layer, x = linear(), torch.randn(shape)
    assert float((quantized(layer, "int8-weight-only")(x) - layer(x)).detach().abs().max()) < 0.03


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rows", [1, 3, 9])
def test_vectors_may_lie_in_columns(scheme: Scheme, rows: int) -> None:
    layer, x = quantized(linear(), scheme), torch.randn(48, rows).mT
    assert torch.equal(layer(x), layer(x.contiguous()))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rows", [1, 8, 9])
@pytest.mark.parametrize("inputs", [1, 10, 15, 16, 17, 24, 40])
def test_rows_of_any_width_are_read_to_their_end_and_no_further(scheme: Scheme, rows: int, inputs: int) -> None:
    layer, x = linear(inputs, 5), torch.randn(rows, inputs)
    rounded = quantized(layer, scheme)
    for _ in range(5):
        torch.testing.assert_close(rounded(x), layer(x), rtol=0, atol=0.03 * float(x.abs().max()))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_results_have_the_dtype_of_what_came_in(scheme: Scheme, dtype: torch.dtype) -> None:
    layer = linear().to(dtype)
    assert quantized(layer, scheme)(torch.randn(2, 48).to(dtype)).dtype == dtype


def test_a_vector_gets_what_it_gets_alone() -> None:
    layer, x = quantized(linear(), "int8"), torch.randn(9, 48)
    x[4] *= 1000
    assert torch.equal(layer(x), torch.cat([layer(row[None]) for row in x]))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_zeros_and_equal_weights_are_no_trouble(scheme: Scheme) -> None:
    layer = linear(bias=False)
    layer.weight.data[2] = 0
    layer.weight.data[3] = 0.25
    y = quantized(layer, scheme)(torch.stack([torch.zeros(48), torch.ones(48)]))
    assert y[0].abs().max() == 0
    assert y[1, 2] == 0
    assert abs(float(y[1, 3]) - 12) < 0.05


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_transformer_stays_close_to_itself(scheme: Scheme) -> None:
    torch.manual_seed(0)
    model = Transformer(CONFIG).eval()
    ids = torch.randint(41, (3, 12))
    with torch.inference_mode():
        exact = model(ids)
        quantize_linears(model, scheme)
        assert not any(isinstance(module, nn.Linear) for module in model.modules())
        error = (model(ids) - exact).norm() / exact.norm()
    assert 0 < error < 0.03


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_layers_that_read_alike_are_one_product_with_the_same_results(scheme: Scheme, bias: bool) -> None:
    torch.manual_seed(0)
    model = Transformer(CONFIG, Form(attention_bias=bias))
    attention, x = model.layers[0].attention, torch.randn(2, 3, 64)
    names = ("wq", "wk", "wv")
    apart = [quantized(attention.get_submodule(name), scheme) for name in names]
    quantize_linears(attention, scheme)
    parts = [attention.get_submodule(name) for name in names]
    assert len({id(part.product) for part in parts}) == 1
    for found, part, alone in zip(together(attention, x), parts, apart, strict=True):
        assert torch.equal(found, alone(x))
        assert torch.equal(part(x), alone(x))


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match=r"`weights` must be None or one of .*int8-weight-only"):
        quantize_linears(nn.Sequential(linear()), "int4")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="None for a model that is not on a CPU"):
        quantize_linears(nn.Sequential(nn.Linear(4, 4, device="meta")), "int8")
    with pytest.raises(ValueError, match="None for a model that leaves the CPU"):
        quantized(linear(), "int8")(torch.ones(1, 48, device="meta"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_of_a_byte_are_neither_saved_nor_replaced(scheme: Scheme) -> None:
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    whole = copy.deepcopy(model.state_dict())
    quantize_linears(model, scheme)
    with pytest.raises(ValueError, match=r"int8 weights cannot be saved.*weights=None"):
        model.state_dict()
    for strict in (True, False):
        with pytest.raises(ValueError, match=r"int8 weights cannot be replaced.*weights=None"):
            model.load_state_dict(whole, strict=strict)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_gradient_through_weights_of_a_byte_is_refused_by_name(scheme: Scheme) -> None:
    model = Transformer(CONFIG)
    quantize_linears(model, scheme)
    ids = torch.randint(0, 41, (2, 9))
    logits = model(ids)
    with torch.no_grad():
        assert torch.equal(model(ids), logits)
    with pytest.raises(RuntimeError, match=r"int8 weights cannot be trained.*weights=None"):
        logits.sum().backward()
