from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.reference.wavlm import noise, small_model

transformers = pytest.importorskip("transformers")


@torch.no_grad()
def test_features_of_every_layer_are_equal():
    model = small_model()
    exported = model.to_transformers()
    assert isinstance(exported, transformers.WavLMModel)
    assert not exported.training
    wav = torch.cat([noise(16000, 3), noise(16000, 4)])
    padding = (model.config.field - model.config.hop) // 2
    found = exported(F.pad(wav, (padding, padding)), output_hidden_states=True)
    last = model(wav)
    assert found.last_hidden_state.shape == last.shape == (2, 50, model.dim)
    torch.testing.assert_close(found.last_hidden_state, last, atol=2e-4, rtol=1e-4)
    for layer in range(1, model.num_layers):
        torch.testing.assert_close(found.hidden_states[layer], model(wav, layer=layer), atol=2e-4, rtol=1e-4)


@torch.no_grad()
def test_the_exported_model_saves_and_loads_in_its_library(tmp_path):
    exported = small_model().to_transformers()
    exported.save_pretrained(tmp_path)
    loaded = transformers.AutoModel.from_pretrained(tmp_path)
    wav = noise(9000)
    torch.testing.assert_close(loaded(wav).last_hidden_state, exported(wav).last_hidden_state)
