from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from gslm.waveglow import WaveGlow, WaveGlowConfig, load, published
from gslm.waveglow.layers import Coupling
from slmcore.errors import CheckpointError
from tests.reference import gslm

NAME = "gslm_waveglow_small"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("waveglow") / "waveglow.pt"
    torch.save(gslm.waveglow_content(NAME), path)
    return path


@pytest.fixture(scope="module")
def model(path: Path) -> WaveGlow:
    return load(path)


def mel_of(frames: int) -> torch.Tensor:
    return torch.randn(80, frames, generator=torch.Generator().manual_seed(1)) * 1.5 - 5


def forward_flow(model: WaveGlow, audio: torch.Tensor, mel: torch.Tensor) -> list[torch.Tensor]:
    """The flow in the direction of training (arXiv 1811.00002, equations 6 to 9): speech to the noise behind it."""
    condition = model._condition(mel)
    x, left = audio.reshape(-1, model.config.group), []
    for flow in range(model.config.flows):
        if flow and flow % model.config.early_every == 0:
            left.append(x[:, : model.config.early_size].T)
            x = x[:, model.config.early_size :]
        x = F.linear(x, model.get_parameter(f"mixings.{flow}.weight"))
        kept, changed = x.chunk(2, 1)
        shift, log_scale = model.couplings[flow](kept, condition)
        x = torch.cat([kept, changed * log_scale.exp() + shift], 1)
    return [x.T, *reversed(left)]


def convolved_coupling(coupling: Any, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """The network of a coupling by torch's convolutions: (T, half) and (T, mels * group) to (T, 2 * half)."""
    signal, skipped = coupling.start(x.T[None]), 0
    conditioning = coupling.cond_layer(condition.T[None]).chunk(len(coupling.in_layers), 1)
    for layer, onward, part in zip(coupling.in_layers, coupling.res_skip_layers, conditioning, strict=True):
        tanh, sigmoid = (layer(signal) + part).chunk(2, 1)
        made = onward(torch.tanh(tanh) * torch.sigmoid(sigmoid))
        *more, skip = made.split(coupling.width, 1)
        signal, skipped = signal + sum(more), skipped + skip
    return coupling.end(skipped)[0].T


@torch.no_grad()
@pytest.mark.parametrize("flow", [0, 3])
@pytest.mark.parametrize("length", [1, 5, 300, 1024, 2100])
def test_products_by_taps_are_the_convolutions_at_every_length(path, flow, length):
    coupling: Any = load(path).double().couplings[flow]
    assert isinstance(coupling, Coupling)
    half, condition = coupling.start.in_channels, coupling.cond_layer.in_channels
    chance = torch.Generator().manual_seed(length)
    x, seen = (torch.randn(length, width, generator=chance, dtype=torch.float64) for width in (half, condition))
    found = torch.cat(coupling(x, seen), 1)
    torch.testing.assert_close(found, convolved_coupling(coupling, x, seen), atol=1e-10, rtol=0)
    assert found.shape == (length, 2 * half)


@torch.no_grad()
def test_speech_flows_back_to_its_noise(path):
    model, mel = load(path).double(), mel_of(9).double()
    noise = [part.double() for part in model.noise(9, seed=4)]
    for found, drawn in zip(forward_flow(model, model(mel, noise), mel), noise, strict=True):
        torch.testing.assert_close(found, drawn, atol=1e-8, rtol=0)


def test_noise_follows_the_seed_and_the_sequence_alone(model):
    whole, other = model.noise(20, seed=1, sequence=2), model.noise(20, seed=1, sequence=3)
    again = model.noise(20, seed=1, sequence=2)
    for a, b, c in zip(whole, again, other, strict=True):
        assert torch.equal(a, b)
        assert abs(float((a * c).mean())) < 0.1
        assert float(a.std()) == pytest.approx(0.666, rel=0.1)
    assert float(torch.cat([part.flatten() for part in model.noise(4, sigma=0.0)]).abs().max()) == 0


def test_speech_is_256_samples_a_frame_and_denoised(model):
    for frames in (1, 7):
        audio = model.speak(mel_of(frames), seed=1)
        assert (audio.shape, audio.dtype) == ((256 * frames,), torch.float32)
        assert not audio.is_inference()
    raw = model(mel_of(7), model.noise(7, 1))
    assert torch.equal(model.speak(mel_of(7), seed=1, denoising=0.0), raw)
    weak, strong = (model.speak(mel_of(7), seed=1, denoising=strength) for strength in (0.01, 5.0))
    torch.testing.assert_close(weak, raw, atol=0.05 * float(raw.std()), rtol=0)
    assert float(strong.std()) < float(raw.std())


def test_the_hum_is_the_spectrum_around_the_first_sample_of_silence(model):
    silence = model(torch.zeros(80, 88), model.noise(88, sigma=0.0)).double()
    around = torch.cat([silence[1:513].flip(0), silence[:512]])
    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * torch.arange(1024, dtype=torch.float64) / 1024)
    torch.testing.assert_close(model.hum().double(), torch.fft.rfft(around * window).abs(), atol=1e-4, rtol=1e-4)


def test_bfloat16_speaks_nearly_alike_and_float32_returns(path):
    model = load(path)
    exact = model.speak(mel_of(8), seed=2)
    half = model.to(torch.bfloat16).speak(mel_of(8), seed=2)
    assert model.mixings[0].weight.dtype == half.dtype == torch.float32
    assert 0 < float((half - exact).abs().max()) < 0.2 * float(exact.std())
    assert model.hum().dtype == torch.float32


def test_saved_models_load_equal(model, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    again = WaveGlow.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.speak(mel_of(3)), model.speak(mel_of(3)))


@pytest.mark.parametrize("mel", [torch.zeros(80, 0), torch.zeros(79, 4), torch.zeros(1, 80, 4)])
def test_other_spectrograms_are_refused(model, mel):
    with pytest.raises(ValueError, match=r"`mel` must be a spectrogram \(80, frames\)"):
        model(mel, [])


def test_cached_inverses_are_ignored_and_newer_names_of_weight_norm_read(path, tmp_path, model):
    content = gslm.waveglow_content(NAME)
    state = {f"convinv.{i}.W_inverse": torch.zeros(2, 2, 1) for i in range(6)} | content["model_dict"]
    names = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}
    for old, new in names.items():
        state = {key.replace(old, new): value for key, value in state.items()}
    torch.save({**content, "model_dict": state}, tmp_path / "newer.pt")
    assert torch.equal(load(tmp_path / "newer.pt").speak(mel_of(2)), model.speak(mel_of(2)))


def test_what_weights_do_not_show_is_in_the_hparams():
    content = gslm.waveglow_content(NAME)
    assert published(content).config == {**published(content).config, "early_every": 2, "early_size": 2, "flows": 6}
    with pytest.raises(ValueError, match="early_size"):
        published({**content, "hparams": {"n_early_every": 1}})


def test_other_files_are_refused(tmp_path):
    for content in ({"model_dict": {"embedding.weight": torch.zeros(1)}}, [1], {"state_dict": {}}):
        torch.save(content, tmp_path / "other.pt")
        with pytest.raises(CheckpointError, match="no WaveGlow"):
            load(tmp_path / "other.pt")
    content = gslm.waveglow_content(NAME)
    del content["model_dict"]["WN.3.end.bias"]
    torch.save(content, tmp_path / "part.pt")
    with pytest.raises(CheckpointError, match=r"missing couplings.3.end.bias"):
        load(tmp_path / "part.pt")


@pytest.mark.parametrize(
    ("name", "value"), [("group", 7), ("window", 100), ("kernel", 2), ("early_size", 3), ("flows", 17), ("mels", 0)]
)
def test_config_refuses(name, value):
    with pytest.raises(ValueError, match=name if name != "flows" else "early_size"):
        WaveGlowConfig(**{name: value})
    with pytest.raises(CheckpointError, match="WaveGlow"):
        WaveGlowConfig.from_dict({name: value})
