from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.reference import goldens
from tests.reference.recipe import GOLDEN, recipe_tensor


def test_folder_and_seed_follow_the_environment(tmp_path, monkeypatch):
    for name in ("SLMZOO_GOLDENS", "SLMZOO_GOLDEN_SEED"):
        monkeypatch.delenv(name, raising=False)
    assert (goldens.folder(), goldens.seed()) == (GOLDEN, 7)
    (tmp_path / "mine.json").write_text('{"a": 1}')
    np.savez(tmp_path / "mine.npz", b=np.arange(3))
    monkeypatch.setenv("SLMZOO_GOLDENS", str(tmp_path))
    monkeypatch.setenv("SLMZOO_GOLDEN_SEED", "11")
    about, arrays = goldens.load("mine")
    assert (about, arrays["b"].tolist()) == ({"a": 1}, [0, 1, 2])
    assert torch.equal(goldens.tensor("w", (2, 3)), recipe_tensor("w", (2, 3), 11))
    with pytest.raises(pytest.skip.Exception, match=r"dpdp\.npz"):
        goldens.load_npz("dpdp")


def test_exceptions_replace_the_recipe_where_their_pattern_fits():
    shapes = {"a.weight": [[4, 2], "float32"], "a.running_var": [[4], "float32"], "a.batches": [[], "int64"]}
    made = goldens.weights(shapes, {"*.running_var": torch.exp, "*.batches": torch.tensor(1000)})
    assert torch.equal(made["a.weight"], goldens.tensor("a.weight", [4, 2]))
    assert torch.equal(made["a.running_var"], goldens.tensor("a.running_var", [4]).exp())
    assert made["a.batches"] == 1000
    with pytest.raises(ValueError, match=r"a\.batches"):
        goldens.weights(shapes)
