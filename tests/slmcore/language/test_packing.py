from __future__ import annotations

import pytest
import torch

from slmcore.language import packing
from slmcore.language.packing import packs
from slmcore.language.scoring import sequence_logprobs
from slmcore.layers.fast import switch
from slmcore.layers.transformer import Transformer, TransformerConfig

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
SIZES = {"dim": 32, "n_layers": 2, "head_dim": 8, "hidden_dim": 24, "n_heads": 4, "n_kv_heads": 2}


def tiny(device: str) -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(vocab_size=51, **SIZES)).eval().to(device)


def sequences(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(51, (n,), generator=generator) for n in lengths]


def test_packs_hold_what_fits_in_the_order_given() -> None:
    assert list(packs([4, 6, 1, 12, 3], 10)) == [[0, 1], [2], [3], [4]]
    assert list(packs([10, 10], 10)) == [[0], [1]]
    assert list(packs([], 10)) == []


@pytest.mark.parametrize("device", DEVICES)
@torch.no_grad()
def test_packed_scores_equal_padded_ones(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for rows in (64, 1024):
        monkeypatch.setattr(packing, "ROWS", {device: rows})
        # One sequence fills a pack exactly, one is longer than a pack.
        ids, model = sequences(2, 65, 30, 30, 5, 2, 140), tiny(device)
        ids += [ids[2].clone()]
        expected = sequence_logprobs(model, [each.to(device) for each in ids])
        with switch.using("rehearse"):
            found = sequence_logprobs(model, [each.to(device) for each in ids])
        for a, b in zip(found, expected, strict=True):
            assert a.device.type == "cpu" and a.dtype == torch.float32
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
        assert torch.equal(found[2], found[-1]) and found[2] is not found[-1]


@pytest.mark.parametrize("device", DEVICES)
@torch.no_grad()
def test_a_score_does_not_depend_on_what_else_is_scored(device: str) -> None:
    ids, model = sequences(40, 7, 300, 500, 2, 600, 33), tiny(device)
    with switch.using("rehearse"):
        together = sequence_logprobs(model, ids)
        for some in ([3], [6, 1], [5, 4, 2, 0]):
            for i, found in zip(some, sequence_logprobs(model, [ids[i] for i in some]), strict=True):
                torch.testing.assert_close(found, together[i], rtol=0, atol=0 if device == "cpu" else 1e-6)


@torch.no_grad()
def test_nothing_is_scored_of_nothing() -> None:
    with switch.using("rehearse"):
        assert sequence_logprobs(tiny("cpu"), []) == []
