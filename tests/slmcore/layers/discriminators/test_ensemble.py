from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from slmcore.layers.discriminators import Discriminators, discriminator_loss, generator_loss
from slmcore.layers.discriminators.complex_stft import STFTDiscriminator
from slmcore.layers.discriminators.multi_period import PeriodDiscriminator
from slmzoo.training.loop.task import generator


def test_a_period_judge_keeps_the_phases_of_its_period_apart() -> None:
    torch.manual_seed(0)
    judge, wav = PeriodDiscriminator(5, (2, 8)), torch.randn(1, 403, generator=generator(0, 0))
    other = wav.clone()
    other[0, 3::5] += 1
    for a, b in zip(judge(wav).maps, judge(other).maps, strict=True):
        assert a.shape[3] == 5
        changed = (a - b).abs().amax(dim=(0, 1, 2)) > 1e-6
        assert changed.tolist() == [False, False, False, True, False]


def test_the_first_layer_of_a_period_judge_is_a_convolution_over_every_pth_sample() -> None:
    torch.manual_seed(0)
    judge, wav = PeriodDiscriminator(3, (2, 8)), torch.randn(1, 90, generator=generator(0, 1))
    weight, bias = judge.convs[0].weight()[:, 0, :, 0].detach(), judge.convs[0].bias.detach()
    for phase in range(3):
        padded = np.pad(wav[0, phase::3].numpy(), 2)
        for place in range(10):
            value = weight.numpy() @ padded[3 * place : 3 * place + 5] + bias.numpy()
            expected = np.where(value > 0, value, 0.1 * value)
            assert np.allclose(judge(wav).maps[0][0, :, place, phase].detach().numpy(), expected, atol=1e-5)


def test_a_spectrum_judge_sees_real_and_imaginary_parts_of_unit_power() -> None:
    judge, wav = STFTDiscriminator(64, 2), torch.randn(2, 4000, generator=generator(0, 2))
    seen = judge.spectrum(wav)
    assert seen.shape == (2, 2, 4000 // 16 + 1, 33)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    expected = np.fft.rfft(wav[1, 160 - 32 : 160 + 32].numpy() * window) / np.sqrt((window**2).sum())
    assert np.allclose(seen[1, 0, 10].numpy(), expected.real, atol=1e-4)
    assert np.allclose(seen[1, 1, 10].numpy(), expected.imag, atol=1e-4)
    assert float(seen[:, :, 5:-5, 1:-1].square().sum(1).mean()) == pytest.approx(1, rel=0.05)


def test_judges_tell_tones_from_noise_after_a_few_steps_and_their_gradient_reaches_the_sound() -> None:
    torch.manual_seed(0)
    judges, draw = Discriminators(2, periods=(2, 3), windows=(128, 64)), generator(0, 3)
    optimizer = torch.optim.AdamW(judges.parameters(), lr=5e-3)
    time = torch.arange(800) / 16000

    def sounds() -> tuple[torch.Tensor, torch.Tensor]:
        pitch = 200 + 1000 * torch.rand(4, 1, generator=draw)
        return torch.sin(2 * torch.pi * pitch * time), 0.7 * torch.randn(4, 800, generator=draw)

    losses = []
    for _ in range(30):
        tone, noise = sounds()
        loss = discriminator_loss(judges(tone), judges(noise), "hinge", "mean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    noise = nn.Parameter(sounds()[1])
    generator_loss(judges(noise), "hinge", "mean").backward()
    assert noise.grad is not None
    assert float(noise.grad.abs().max()) > 0


def test_states_of_earlier_versions_are_read() -> None:
    torch.manual_seed(0)
    now = Discriminators(2, periods=(2, 3), windows=(128,))
    state = now.state_dict()
    earlier = {}
    for key, value in state.items():
        name = key.replace(".convs.", ".layers.").replace(".conv_post.", ".out.")
        name = name.replace(".weight_g", ".parametrizations.weight.original0")
        earlier[name.replace(".weight_v", ".parametrizations.weight.original1")] = value
    assert "judges.1.layers.0.parametrizations.weight.original0" in earlier
    torch.manual_seed(1)
    other = nn.ModuleDict({"judges": Discriminators(2, periods=(2, 3), windows=(128,))})
    other.load_state_dict({f"judges.{key}": value for key, value in earlier.items()})
    assert all(torch.equal(value, other["judges"].state_dict()[key]) for key, value in state.items())
