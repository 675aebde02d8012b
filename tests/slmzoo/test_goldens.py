from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.reference import goldens

pytestmark = pytest.mark.golden
ROOT = Path(__file__).parents[2]


def test_the_entry_point_gives_the_golden_features(tmp_path: Path) -> None:
    about, arrays = goldens.load("wavlm_small")
    path = tmp_path / "wavlm.pt"
    torch.save({"cfg": about["cfg"], "model": goldens.weights(about["state_dict"])}, path)
    model, extract_features = torch.hub.load(str(ROOT), "wavlm_large", source="local", checkpoint=str(path))
    wav = goldens.noise(16000 + goldens.seed(), goldens.seed())
    for layer in (1, 3, 4, None):
        expected = torch.from_numpy(arrays[f"noise16k/layer{layer}"])
        assert (extract_features(model, wav, 16000, layer) - expected).abs().max() < 1e-3 * expected.std()
