from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import wavtokenizer
from tests.reference import goldens

pytestmark = [pytest.mark.golden, pytest.mark.slow]
CODEBOOK = "feature_extractor.encodec.quantizer.vq.layers.0._codebook."


@pytest.fixture(scope="module", params=[600, 320])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    name = f"wavtokenizer_small_{request.param}"
    about, arrays = goldens.load(name)
    path = tmp_path_factory.mktemp(name) / "published.ckpt"
    _write_published(path, about, arrays)
    model = wavtokenizer.load(path)
    path.unlink()
    return about, arrays, model


def _write_published(path: Path, about: dict, arrays: dict[str, np.ndarray]) -> None:
    state = goldens.weights(about["state_dict"])
    dimension = state[CODEBOOK + "embed"].shape[1]
    scale, mean = (torch.from_numpy(arrays[f"codebook_{name}"]) for name in ("scale", "mean"))
    state[CODEBOOK + "embed"] = state[CODEBOOK + "embed"] * dimension**0.5 * scale + mean
    state[CODEBOOK + "inited"] = torch.ones(1)
    state["head.istft.window"] = torch.hann_window(about["config"]["head"]["n_fft"])
    state["multiperioddisc.discriminators.0.weight"] = torch.zeros(3)
    torch.save({"state_dict": state, "epoch": 3}, path)


def test_sizes_are_read_off_the_weights(case):
    about, _, model = case
    features, backbone, head = (about["config"][k] for k in ("feature_extractor", "backbone", "head"))
    assert (model.sample_rate, model.hop, model.num_codes) == (24000, head["hop_length"], features["vq_bins"])
    assert model.config.strides == tuple(reversed(features["downsamples"]))
    assert model.config.decoder_layers == backbone["num_layers"]
    assert (model.config.decoder_dim, model.config.n_fft) == (head["dim"], head["n_fft"])


def test_encoder_gives_the_golden_latents(case):
    _, arrays, model = case
    wav = torch.from_numpy(arrays["input_wav_24k"])
    with torch.no_grad():
        latents = model.encoder(wav)[0, :, ::4].numpy()
    golden = arrays["encoder_output"]
    assert latents.shape == golden.shape
    assert np.abs(latents - golden).max() < 1e-3 * golden.std()


def test_encode_gives_the_golden_codes(case):
    _, arrays, model = case
    codes = model.encode(torch.from_numpy(arrays["input_wav_24k"]), 24000)
    assert codes.shape == arrays["encode_codes"].shape
    assert codes.dtype == torch.int64
    assert (codes.numpy() != arrays["encode_codes"]).mean() <= 0.005


def test_decode_gives_the_golden_audio(case):
    _, arrays, model = case
    wav, rate = model.decode(torch.from_numpy(arrays["decode_codes"]))
    golden = arrays["decode_audio"]
    assert rate == 24000
    assert wav.shape == golden.shape
    assert np.abs(wav.numpy() - golden).max() < 1e-3 * golden.std()
