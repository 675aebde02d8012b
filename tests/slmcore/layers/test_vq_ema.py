from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from slmcore.layers.vq import ResidualVQ
from slmcore.layers.vq_ema import RunningMeans, lloyd
from tests.reference import goldens

EMA, EMA_ARRAYS = goldens.load("rvq_ema")
TRAIN = goldens.load("soundstream_small")[1]
DECAY, EPSILON = 0.99, 1e-5


def near(found: Tensor, golden: np.ndarray | Tensor, tolerance: float = 1e-5) -> bool:
    wanted = torch.as_tensor(golden)
    assert found.shape == wanted.shape
    return bool((found.detach() - wanted).abs().max() <= tolerance * wanted.abs().max())


def golden(name: str) -> Tensor:
    made = torch.from_numpy(EMA_ARRAYS[name])
    return made.long() if made.dtype in (torch.int16, torch.int32) else made


def normal(seed: int, *shape: int) -> Tensor:
    made = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(made.astype(np.float32))


def vectors_of(case: str) -> Tensor:
    data = normal(goldens.seed() + 20, 200 if case == "kmeans" else 10, 8)
    data[1] = data[0]
    return data


def upstream_start(embed: Tensor, counts: Tensor) -> RunningMeans:
    """As the published code starts: sums that are the means themselves."""
    means = RunningMeans(*embed.shape, smoothing=EPSILON)
    means.resume(embed, counts.float())
    means.sums.copy_(embed)
    return means


def agrees(means: RunningMeans, embed: Tensor, prefix: str, arrays: dict[str, np.ndarray] = EMA_ARRAYS) -> bool:
    wanted = {"cluster_size": means.counts, "embed_avg": means.sums, "embed": embed}
    return all(near(found, arrays[prefix + name]) for name, found in wanted.items())


@pytest.mark.golden
def test_three_updates_are_the_goldens():
    vq = ResidualVQ(1, 16, 8)
    embed = vq.layers[0].embed
    embed.copy_(golden("update/embed"))
    means = RunningMeans(16, 8, smoothing=EPSILON)
    means.resume(embed, golden("update/cluster_size"))
    for i in range(3):
        latents = normal(goldens.seed() + i, 1, 96, 8).mT
        found = vq(latents)
        assert torch.equal(found.codes[0], golden(f"update/{i}/codes"))
        assert near(found.latents, golden(f"update/{i}/quantize").mT)
        means.update(embed, found.residuals[0], found.codes[0], DECAY)
        assert agrees(means, embed, f"update/{i}/")


@pytest.mark.golden
@pytest.mark.parametrize("case", ["kmeans", "kmeans_few"])
def test_a_start_and_its_first_update_are_the_goldens(case: str):
    data = vectors_of(case)
    first = data[torch.arange(16) % len(data)]
    for iterations in (1, 50):
        means, counts = lloyd(data, first, iterations)
        assert near(means, golden(f"{case}/means{iterations}"))
        assert torch.equal(counts, golden(f"{case}/bins{iterations}"))
    vq = ResidualVQ(1, 16, 8)
    vq.layers[0].embed.copy_(means)
    codes = vq.encode(data.T[None])[0]
    assert torch.equal(codes, golden(f"{case}/codes"))
    running = upstream_start(means, counts)
    running.update(vq.layers[0].embed, data.T[None], codes, DECAY)
    assert agrees(running, vq.layers[0].embed, f"{case}/after_first_update/")


@pytest.mark.golden
def test_residual_codebooks_in_one_training_forward_are_the_goldens():
    latents, vq, running = normal(goldens.seed() + 30, 2, 8, 60), ResidualVQ(3, 16, 8), []
    residual = latents
    for layer in vq.layers:
        rows = residual.mT.flatten(0, 1)
        means, counts = lloyd(rows, rows[torch.arange(16)], 50)
        layer.embed.copy_(means)
        running.append(upstream_start(means, counts))
        residual = residual - layer.decode(layer.encode(residual))
    found = vq(latents)
    assert torch.equal(found.codes, golden("rvq/codes"))
    assert near(found.latents, golden("rvq/quantized"))
    losses = (found.residuals - found.parts).square().mean((1, 2, 3))
    assert near(losses[:, None], golden("rvq/losses"))
    assert near(found.commitment, golden("rvq/losses").mean())
    for level in (0, 2):
        assert near(found.parts[level], golden(f"rvq/part{level}"))
    for level, (layer, means) in enumerate(zip(vq.layers, running, strict=True)):
        means.update(layer.embed, found.residuals[level], found.codes[level], DECAY)
        assert agrees(means, layer.embed, f"rvq/after/{level}/")


@pytest.mark.golden
@pytest.mark.parametrize("smoothing", [EPSILON, 0.0])
def test_a_training_forward_of_soundstream_is_the_golden(smoothing: float):
    vq = ResidualVQ(3, 64, 16)
    for level, layer in enumerate(vq.layers):
        layer.embed.copy_(goldens.tensor(f"train.vq.layers.{level}._codebook.embed", (64, 16)) * 4)
    latents = torch.from_numpy(TRAIN["train/latents"]).requires_grad_()
    found = vq(latents)
    assert torch.equal(found.codes, torch.from_numpy(TRAIN["train/codes"]).long())
    assert near(found.latents, TRAIN["train/quantized"])
    assert near(found.commitment[None], TRAIN["train/commitment"])
    (mended,) = torch.autograd.grad(found.commitment, latents, retain_graph=True)
    assert near(mended, TRAIN["train_mended/grad_of_commitment"])
    assert not near(mended, TRAIN["train/grad_of_commitment"], 0.1)
    weights = normal(goldens.seed() + 5, 2, 16, 25)
    (straight,) = torch.autograd.grad((found.latents * weights).sum(), latents)
    assert near(straight, TRAIN["train/grad_of_quantized"])
    for level, layer in enumerate(vq.layers):
        means = RunningMeans(64, 16, smoothing)
        means.resume(layer.embed, torch.full((64,), 4.0))
        means.update(layer.embed, found.residuals[level], found.codes[level], DECAY)
        if smoothing:
            assert agrees(means, layer.embed, f"train/level{level}_", TRAIN)
        else:
            assert near(means.counts, TRAIN[f"train_mended/level{level}_cluster_usage"])
            assert near(layer.embed, TRAIN[f"train_mended/level{level}_embed"])


@pytest.mark.parametrize("number", [200, 9])
def test_a_start_keeps_its_means_through_the_first_update(number: int):
    """Published codecs divide each mean by its count at once."""
    data, embed = vectors_of("kmeans")[:number], torch.zeros(16, 8)
    means = RunningMeans(16, 8, smoothing=EPSILON)
    draw = torch.Generator().manual_seed(3)
    means.start_from(embed, data, draw)
    assert means.started
    assert embed.unique(dim=0).shape[0] == min(16, number - 1)
    before = embed.clone()
    codes = torch.cdist(data, embed).argmin(1)
    means.update(embed, data.T[None], codes[None], DECAY)
    assert float((embed - before).norm() / before.norm()) < 0.02


def test_dead_codes_live_again():
    """Published codecs revive the vectors only, which the same step makes anew from sums that were not touched."""
    embed = torch.cat([torch.zeros(1, 2), torch.full((31, 2), 1e3)])
    means = RunningMeans(32, 2, smoothing=EPSILON)
    means.resume(embed)
    draw = torch.Generator().manual_seed(1)
    for _ in range(300):
        latents = torch.randn(1, 2, 64, generator=draw)
        codes = torch.cdist(latents[0].T, embed).argmin(1)[None]
        means.update(embed, latents, codes, DECAY, 0.1, draw)
    assert int(means.use(codes)["used"]) > 28
    assert float(embed.abs().max()) < 5


def test_no_iteration_is_refused():
    with pytest.raises(ValueError, match="`iterations` must be a whole number >= 1, but is 0"):
        lloyd(torch.zeros(3, 2), torch.zeros(2, 2), 0)
