from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from slmcore.files.encodec import translated


@pytest.mark.parametrize("transposed", [False, True])
def test_weight_norm_is_folded_by_either_of_torchs_names(transposed: bool):
    conv = nn.ConvTranspose1d(4, 6, 3) if transposed else nn.Conv1d(4, 6, 3)
    wrapped = "decoder.model.2.convtr.convtr" if transposed else "decoder.model.2.conv.conv"
    bare = parametrizations.weight_norm(conv)
    with torch.no_grad():
        bare.parametrizations.weight.original0.mul_(-1.7)
    effective = bare.weight.detach().clone()
    new = {f"{wrapped}.{k}": v for k, v in bare.state_dict().items()}
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    old = {f"{wrapped}.{names.get(k, k)}": v for k, v in bare.state_dict().items()}
    for state in (new, old):
        found = translated(state)
        assert set(found) == {"decoder.model.2.weight", "decoder.model.2.bias"}
        assert torch.allclose(found["decoder.model.2.weight"], effective, atol=1e-6)


def test_names_without_a_wrapper_stay_and_codebooks_lose_their_statistics():
    state = {"model.13.lstm.weight_ih_l0": torch.ones(2, dtype=torch.float16), "downsample.conv.conv.conv.weight": ()}
    state["downsample.conv.conv.conv.weight"] = torch.ones(2, 2, 4)
    for name, value in {"embed": 1.0, "embed_avg": 2.0, "cluster_size": 3.0, "inited": 4.0}.items():
        state[f"quantizer.vq.layers.3._codebook.{name}"] = torch.full((2, 2), value)
    found = translated(state)
    assert set(found) == {"model.13.lstm.weight_ih_l0", "downsample.weight", "quantizer.layers.3.embed"}
    assert found["model.13.lstm.weight_ih_l0"].dtype == torch.float32
    assert found["quantizer.layers.3.embed"].unique().tolist() == [1.0]


def test_mimis_codebooks_are_sums_and_numbers_of_terms():
    prefix = "quantizer.rvq_rest.vq.layers.1._codebook."
    sums, usage = torch.tensor([[6.0, 3.0], [1e-6, 0.0]]), torch.tensor([3.0, 0.0])
    state = {prefix + "embedding_sum": sums, prefix + "cluster_usage": usage, prefix + "_initialized": torch.ones(1)}
    found = translated(state)
    assert set(found) == {"quantizer.rvq_rest.layers.1.embed"}
    assert torch.allclose(*found.values(), torch.tensor([[2.0, 1.0], [0.1, 0.0]]))
