from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from slmcore import audio
from slmzoo.evaluation.speech import intelligibility, pitch, speakers
from tests.reference.recipe import GOLDEN


@pytest.fixture(scope="module")
def speech() -> tuple[torch.Tensor, int]:
    return audio.load(GOLDEN / "speech.wav")


def tone(hertz: torch.Tensor, sr: int = 16000) -> torch.Tensor:
    """A voice-like wav (1, samples) of that pitch at each sample."""
    phase = 2 * torch.pi * hertz.double().cumsum(0) / sr
    return sum(torch.sin(phase * k) / k for k in range(1, 8))[None].float() * 0.1


@pytest.mark.parametrize("sr", [16000, 22050])
@pytest.mark.parametrize("hertz", [75.0, 123.4, 220.0, 380.0])
def test_pitch_of_a_steady_voice(hertz, sr):
    found = pitch.f0(tone(torch.full((sr // 2,), hertz), sr), sr)
    assert len(found) == 51
    assert (found > 0).double().mean() > 0.9
    assert found[found > 0].sub(hertz).abs().max() < 0.01 * hertz


def test_noise_and_silence_have_no_pitch():
    noise = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    assert not pitch.f0(noise, 16000).any()
    assert not pitch.f0(torch.zeros(1, 8000), 16000).any()


def test_pitch_correlation_of_a_slower_and_higher_copy():
    moves = 150 + 40 * torch.sin(torch.linspace(0, 9, 16000))
    slower = 1.3 * torch.nn.functional.interpolate(moves[None, None], 20000, mode="linear")[0, 0]
    original, copy = pitch.f0(tone(moves), 16000), pitch.f0(tone(slower), 16000)
    assert pitch.correlation(original, copy) > 0.99
    assert pitch.correlation(original, original) == pytest.approx(1)
    assert pitch.correlation(original, original.max() + 10 - original) == pytest.approx(-1)


def test_pitch_correlation_takes_frames_that_are_voiced_in_both():
    random = np.random.default_rng(0)
    a, b = random.uniform(100, 200, (2, 30))
    a[::3], b[::4] = 0, 0
    both = (a > 0) & (b > 0)
    expected = np.corrcoef(a[both], b[both])[0, 1]
    assert pitch.correlation(torch.tensor(a), torch.tensor(b)) == pytest.approx(expected)


@pytest.mark.parametrize("copy", [torch.zeros(20), torch.full((20,), 100.0), torch.zeros(0)])
def test_pitch_that_cannot_be_compared_is_refused(copy):
    with pytest.raises(ValueError, match="pitch"):
        pitch.correlation(torch.linspace(100, 120, 20), copy)


def test_stoi_falls_with_noise(speech):
    wav, sr = speech
    noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(0)) * wav.std()
    scores = [intelligibility.stoi(wav, wav + share * noise, sr) for share in (0, 0.5, 2)]
    assert scores[0] == pytest.approx(1)
    assert scores[0] > scores[1] > scores[2]


def test_stoi_cuts_a_copy_that_is_a_little_longer_and_refuses_others(speech):
    wav, sr = speech
    longer = torch.cat([wav, torch.zeros(1, sr // 25)], 1)
    assert intelligibility.stoi(wav, longer, sr) == pytest.approx(1)
    with pytest.raises(ValueError, match="not time-aligned"):
        intelligibility.stoi(wav, wav[:, : wav.shape[1] // 2], sr)
    with pytest.raises(ValueError, match=r"0\.4 s"):
        intelligibility.stoi(wav[:, :3200], wav[:, :3200], sr)


def test_pesq_is_asked_at_16_khz_and_named_if_missing(speech, monkeypatch):
    wav, _ = speech
    asked = []
    fake = SimpleNamespace(pesq=lambda *arguments: asked.append(arguments) or 3.5, PesqError=RuntimeError)
    monkeypatch.setitem(sys.modules, "pesq", fake)
    assert intelligibility.pesq(wav, wav, 32000) == 3.5
    ((rate, original, copy, mode),) = asked
    assert (rate, mode, len(original)) == (16000, "wb", math.ceil(wav.shape[1] / 2))
    assert np.array_equal(original, copy)
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(ImportError, match="pip install pesq"):
        intelligibility.pesq(wav, wav, 16000)


@pytest.fixture(scope="module")
def tiny_speaker_model(tmp_path_factory) -> speakers.SpeakerModel:
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("xvector")
    config = transformers.WavLMConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, tdnn_dim=(16, 16, 16), tdnn_kernel=(3, 3, 1),
        tdnn_dilation=(1, 2, 1), xvector_output_dim=12,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.WavLMForXVector(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return speakers.speaker_model(str(folder))


def test_x_vectors_of_a_model_chosen_by_name(speech, tiny_speaker_model):
    wav, sr = speech
    one, again, other = (tiny_speaker_model.embed(w, sr) for w in (wav, wav.clone(), wav.flip(1)[:, : sr // 2]))
    assert one.shape == (12,)
    assert float(one.norm()) == pytest.approx(1, abs=1e-5)
    assert speakers.similarity(one, again) == pytest.approx(1)
    assert speakers.similarity(one, other) == pytest.approx(float(one.double() @ other.double()), abs=1e-5)
    assert speakers.similarity(one, other) < 1 - 1e-6


def test_a_speaker_model_that_is_not_there_is_named(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises((OSError, ValueError), match=str(tmp_path)):
        speakers.speaker_model(str(tmp_path / "nothing"))
