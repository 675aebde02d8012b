from __future__ import annotations

import numpy as np
import pytest
import torch

from mistral_ulm import UnitLM, UnitTokenizer, load
from tests.reference import goldens

pytestmark = pytest.mark.golden


def published_file(name: str, path):
    golden = goldens.load_json(name)
    torch.save({"model_args": golden["model_args"], "model_state_dict": goldens.weights(golden["state_dict"])}, path)
    return path


@pytest.fixture(scope="module", params=["ulm_small", pytest.param("ulm_full", marks=pytest.mark.slow)])
def case(request, tmp_path_factory) -> tuple[str, UnitLM, dict[str, np.ndarray]]:
    path = published_file(request.param, tmp_path_factory.mktemp("ulm") / "ulm.pt")
    return request.param, load(path), goldens.load_npz(request.param)


def test_loglikelihood(case):
    _, ulm, golden = case
    tokenizer = UnitTokenizer(ulm.config.vocab_size - 1)
    ids = [tokenizer.encode(golden[f"units{i}"].tolist()) for i in range(4)]
    for one, expected in zip(ids, golden["loglikelihood"], strict=True):
        assert ulm.loglikelihood(one) == pytest.approx(expected, rel=1e-5)
    assert ulm.loglikelihoods(ids) == pytest.approx(golden["loglikelihood"], rel=1e-5)


def test_packed_logits(case):
    name, ulm, golden = case
    # The golden packs `units0..2` with BOS in place of each last unit: seqlens 1, 5, 17.
    tokenizer = UnitTokenizer(ulm.config.vocab_size - 1)
    ids = torch.cat([tokenizer.encode(golden[f"units{i}"].tolist())[:-1] for i in range(3)])
    logits = ulm(ids, [1, 5, 17])
    expected = torch.from_numpy(golden["packed_logits"])
    logits = logits[:, ::5] if name == "ulm_full" else logits
    assert (logits - expected).abs().max() < 1e-3 * expected.std()
