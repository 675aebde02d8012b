from __future__ import annotations

import numpy as np
import pytest
import torch

from mistral_ulm import UnitLM, UnitTokenizer, load
from slmcore.layers.fast import switch
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


MODES = [("cpu", "0"), ("cpu", "rehearse"), *(pytest.param("cuda", mode, marks=pytest.mark.gpu) for mode in "01")]


@pytest.mark.parametrize(("device", "mode"), MODES)
def test_loglikelihood(case, device, mode):
    _, ulm, golden = case
    tokenizer = UnitTokenizer(ulm.config.vocab_size - 1)
    ids = [tokenizer.encode(golden[f"units{i}"].tolist()) for i in range(4)]
    rel = 1e-5 if device == "cpu" else 1e-4
    ulm.to(device)
    with switch.using(mode):
        for one, expected in zip(ids, golden["loglikelihood"], strict=True):
            assert ulm.loglikelihood(one) == pytest.approx(expected, rel=rel)
        assert ulm.loglikelihoods([each.to(device) for each in ids]) == pytest.approx(golden["loglikelihood"], rel=rel)
    ulm.cpu()


def test_packed_logits(case):
    name, ulm, golden = case
    # The golden packs `units0..2` with BOS in place of each last unit: seqlens 1, 5, 17.
    tokenizer = UnitTokenizer(ulm.config.vocab_size - 1)
    ids = torch.cat([tokenizer.encode(golden[f"units{i}"].tolist())[:-1] for i in range(3)])
    logits = ulm(ids, [1, 5, 17])
    expected = torch.from_numpy(golden["packed_logits"])
    logits = logits[:, ::5] if name == "ulm_full" else logits
    assert (logits - expected).abs().max() < 1e-3 * expected.std()
