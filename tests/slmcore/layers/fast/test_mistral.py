"""Mistral's layers in the order of work for GPUs give what the plain ones give."""

from __future__ import annotations

import pytest
import torch

from slmcore.layers.fast import mistral, switch
from slmcore.layers.fast.attention import Rows
from slmcore.layers.fast.weights import joined
from slmcore.layers.int8 import quantize_linears
from slmcore.layers.transformer import Form, Perceptron, Transformer, TransformerConfig

SIZES = {"dim": 32, "n_layers": 2, "head_dim": 8, "hidden_dim": 24, "n_heads": 4}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def tiny(n_kv_heads: int = 2, form: Form | None = None) -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig(vocab_size=11, n_kv_heads=n_kv_heads, **SIZES)
    model = Transformer(config) if form is None else Transformer(config, form)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@torch.no_grad()
def test_steps_of_one_and_two_tokens_equal_the_whole(n_kv_heads: int, device: str) -> None:
    model = tiny(n_kv_heads).to(device)
    ids = torch.randint(11, (3, 12), generator=torch.Generator().manual_seed(1)).to(device)
    expected = model(ids)
    with switch.using("rehearse"):
        cache, parts = model.cache(3, 20), []
        for start, stop in ((0, 6), (6, 7), (7, 9), (9, 12)):
            positions = torch.arange(start, stop, device=device).expand(3, -1)
            parts.append(model.output(model.hidden(ids[:, start:stop], positions, cache)))
    torch.testing.assert_close(torch.cat(parts, 1), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@torch.no_grad()
def test_packed_sequences_equal_each_alone(device: str) -> None:
    model, lengths = tiny().to(device), [4, 1, 7]
    ids = torch.randint(11, (12,), generator=torch.Generator().manual_seed(1)).to(device)
    positions = torch.cat([torch.arange(n, device=device) for n in lengths])
    found = mistral.packed(model, ids, positions, Rows.packed(lengths, ids.device)).split(lengths)
    for part, own in zip(found, ids.split(lengths), strict=True):
        torch.testing.assert_close(part, model.hidden(own[None])[0], atol=1e-5, rtol=1e-4)


def test_what_is_not_mistrals_goes_the_plain_way() -> None:
    other = Form(feed_forward=lambda dim, hidden: Perceptron(dim, hidden, torch.relu))
    rounded = tiny()
    quantize_linears(rounded, "int8-weight-only")
    with torch.no_grad(), switch.using("rehearse"):
        device = torch.device("cpu")
        assert tiny().fused(device)
        for model in (tiny(form=other), rounded, tiny().train()):
            assert not model.fused(device)
            ids = torch.zeros(1, 1, dtype=torch.int64)
            assert model.hidden(ids, ids, model.cache(1, 4)).isfinite().all()
    with switch.using("rehearse"):
        assert not tiny().fused(device)
    assert not tiny().fused(device)


def test_joined_weights_are_the_layers_own_wherever_they_move() -> None:
    model = tiny()
    attention = model.layers[0].attention
    layers = [attention.wq, attention.wk, attention.wv]
    before = {name: x.clone() for name, x in model.state_dict().items()}
    with torch.inference_mode():
        whole = joined(layers)
    assert whole.shape == (32 + 16 + 16, 32) and torch.equal(whole[32:48], attention.wk.weight)
    assert joined(layers).data_ptr() == whole.data_ptr()
    assert {name: x.tolist() for name, x in model.state_dict().items()} == {n: x.tolist() for n, x in before.items()}
    model(torch.zeros(1, 3, dtype=torch.int64)).sum().backward()
    torch.optim.SGD(model.parameters(), 1.0).step()
    assert torch.equal(joined(layers), torch.cat([layer.weight for layer in layers]))
    assert not torch.equal(attention.wk.weight, before["layers.0.attention.wk.weight"])
    model.double()
    assert torch.equal(joined(layers), torch.cat([layer.weight for layer in layers])) and whole.dtype == torch.float32
    model.load_state_dict(before)
    assert torch.equal(joined(layers)[48:], before["layers.0.attention.wv.weight"].double())


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_of_one_product_are_those_of_several(device: str) -> None:
    model = tiny().to(device).train()
    ids = torch.randint(11, (2, 9), generator=torch.Generator().manual_seed(1)).to(device)

    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        model(ids).logsumexp(-1).square().mean().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    expected = gradients()
    with switch.using("rehearse"):
        found = gradients()
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)  # without a break
        torch.testing.assert_close(compiled(ids), model(ids))
    assert set(found) == {name for name, _ in model.named_parameters()}
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
