from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from slmzoo.training.codec import CodecObjective, CodecTrainer, RunningCodebook, SpectralLoss, kmeans
from slmzoo.training.loop import Schedule, fit, generator
from wavtokenizer import WavTokenizer, WavTokenizerConfig

CONFIG = WavTokenizerConfig(
    sample_rate=16000,
    strides=(8, 5, 5),
    n_filters=4,
    dimension=8,
    codebook_size=16,
    decoder_dim=32,
    decoder_intermediate=32,
    decoder_layers=1,
    n_fft=800,
)
OBJECTIVE = CodecObjective(crop=2400, batch=4, quantize_from=3, start_crops=8, freeze_front_from=5, freeze_from=6)


def trainer(objective: CodecObjective = OBJECTIVE) -> CodecTrainer:
    torch.manual_seed(0)
    time = torch.arange(8000) / 16000
    tones = [torch.sin(2 * torch.pi * pitch * time * (1 + time)) * 8000 for pitch in (150, 300, 700)]
    return CodecTrainer(WavTokenizer(CONFIG), [tone.to(torch.int16) for tone in tones], objective)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_kmeans_finds_clusters_apart():
    draw = generator(1, 0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = centres.repeat(50, 1) + 0.1 * torch.randn(200, 2, generator=draw)
    found = min((kmeans(points, 4, generator(seed, 0)) for seed in range(10)), key=lambda c: _inertia(points, c))
    assert float(torch.cdist(centres, found).min(1).values.max()) < 0.1
    with pytest.raises(ValueError, match="at least k"):
        kmeans(points[:3], 4, draw)


def _inertia(points: torch.Tensor, centres: torch.Tensor) -> float:
    return float(torch.cdist(points, centres).min(1).values.sum())


def test_codes_move_to_the_running_mean_of_their_latents():
    codebook = RunningCodebook(torch.tensor([[0.0], [10.0]]))
    latents, codes = torch.tensor([[[1.0, 3.0, 20.0]]]), torch.tensor([[0, 0, 1]])
    codebook.update(latents, codes, 0.9, 0.0, generator(0, 0))
    # 0.9 of what was (count 1 at the code) and 0.1 of the batch (count 2 at 1 and 3; count 1 at 20).
    expected = torch.tensor([[(0.9 * 0 + 0.1 * 4) / 1.1], [(0.9 * 10 + 0.1 * 20) / 1.0]])
    assert torch.allclose(codebook.embed, expected)
    for _ in range(300):
        codebook.update(latents, codes, 0.9, 0.0, generator(0, 0))
    assert torch.allclose(codebook.embed, torch.tensor([[2.0], [20.0]]), atol=1e-4)


def test_codes_out_of_use_are_put_on_latents():
    codebook = RunningCodebook(torch.tensor([[0.0], [1000.0], [-1000.0]]))
    latents, codes = torch.linspace(-1, 1, 50).view(1, 1, 50), torch.zeros(1, 50, dtype=torch.int64)
    for step in range(400):
        codebook.update(latents, codes, 0.99, 0.1, generator(0, step))
    assert float(codebook.embed.abs().max()) <= 1
    # Two codes are used in equal measure by the figures, one of three not at all.
    codebook.counts.copy_(torch.tensor([5.0, 5.0, 0.0]))
    use = codebook.use(torch.tensor([[1, 1, 0]]))
    assert (use["used"], use["batch_codes"]) == (2, 2)
    assert use["perplexity"] == pytest.approx(2, rel=1e-5)


def test_spectral_loss_is_zero_for_the_same_and_grows_with_the_difference():
    loss, draw = SpectralLoss(16000), generator(0, 0)
    real, noise = 0.1 * torch.randn(2, 4000, generator=draw), 0.1 * torch.randn(2, 4000, generator=draw)
    assert [float(part) for part in loss(real, real)] == [0, 0]
    for part in range(2):
        near, far = (float(loss(real + share * noise, real)[part]) for share in (0.1, 1.0))
        assert 0 < near < far
    silent = torch.zeros(1, 4000, requires_grad=True)
    torch.stack(loss(silent, real[:1])).sum().backward()
    assert silent.grad is not None
    assert bool(torch.isfinite(silent.grad).all())


def test_a_mel_band_of_a_tone_is_where_the_tone_is():
    loss = SpectralLoss(16000, ((512, 40),))
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / 16000).unsqueeze(0)
    magnitude, mel = loss._spectra(tone, 512)
    assert int(magnitude[0, 10].argmax()) == 32
    assert float(magnitude[0, 10].max()) == pytest.approx(0.5, rel=1e-3)
    centres = torch.linspace(0, 1, 512 // 2 + 1) @ loss.get_buffer("bank512") * 8000
    assert abs(float(centres[mel[0, 10].argmax()]) - 1000) < 100


def test_a_step_depends_on_its_number_alone():
    first, second = trainer(), trainer()
    first.loss(0)
    assert torch.equal(first.loss(1)[0], second.loss(1)[0])
    assert not torch.equal(first.loss(2)[0], second.loss(1)[0])


def test_quantising_starts_and_freezing_ends_the_codebooks_movement():
    model = trainer()
    moved = []
    for step in range(8):
        before = weights(model.codec)
        total, figures = model.loss(step)
        model.zero_grad(set_to_none=True)
        total.backward()
        moved.append(not torch.equal(before["quantizer.embed"], model.codec.quantizer.embed))
        trains_encoder = model.codec.encoder.out.weight.grad is not None
        assert trains_encoder == (step < 6)
        assert (model.codec.encoder.stem.weight.grad is not None) == (step < 5)
        assert model.codec.decoder.out.weight.grad is not None
        assert (figures["commitment"] > 0) == (3 <= step < 6)
    assert moved == [False] * 3 + [True] * 3 + [False] * 2


def test_training_learns_and_a_resumed_run_is_an_unbroken_one(tmp_path: Path):
    schedule = Schedule(steps=12, lr=2e-3, warmup=2)
    unbroken = trainer()
    before = float(unbroken.loss(0)[0].detach())
    fit(unbroken, unbroken.loss, schedule, tmp_path / "unbroken")
    assert float(unbroken.loss(0)[0].detach()) < before
    stopped = trainer()

    def stop(step: int):
        if step == 8:
            raise KeyboardInterrupt
        return stopped.loss(step)

    with pytest.raises(KeyboardInterrupt):
        fit(stopped, stop, schedule, tmp_path / "resumed", save_every=4)
    resumed = trainer()
    fit(resumed, resumed.loss, schedule, tmp_path / "resumed", save_every=4)
    for name, value in weights(unbroken).items():
        assert torch.equal(value, weights(resumed)[name]), name


def test_wrong_material_is_refused():
    codec = WavTokenizer(CONFIG)
    for wavs in ([], [torch.zeros(100, dtype=torch.int16)]):
        with pytest.raises(ValueError, match="wavs"):
            CodecTrainer(codec, wavs, OBJECTIVE)
    with pytest.raises(ValueError, match="multiple of the hop"):
        CodecTrainer(codec, [torch.zeros(4000, dtype=torch.int16)], dataclasses.replace(OBJECTIVE, crop=2401))
