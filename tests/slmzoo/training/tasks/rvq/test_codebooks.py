from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from slmcore.layers.vq import Quantized, ResidualVQ
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.rvq.codebooks import LevelCodebooks
from soundstream.quantizer import SplitVQ
from tests.reference import goldens


def everywhere(quantized: Quantized) -> Tensor:
    return torch.ones(quantized.codes.shape[1:], dtype=torch.bool)


def step(
    codebooks: LevelCodebooks, quantizer: torch.nn.Module, latents: Tensor, number: int = 0, **rules: float
) -> None:
    with torch.no_grad():
        quantized = quantizer(latents)
    codebooks.collect(quantized, everywhere(quantized))
    codebooks.update(3, number, **{"decay": 0.9, "revive_below": 0.0, **rules})


def test_levels_start_as_the_means_of_what_the_ones_before_leave() -> None:
    """Coarse clusters at 0 and 100, in each of which lie fine ones at -1 and 1."""
    coarse = torch.tensor([0.0, 100.0]).repeat_interleave(20)
    fine = torch.tensor([-1.0, 1.0]).repeat(20)
    quantizer = ResidualVQ(2, 2, 1)
    codebooks = LevelCodebooks(quantizer)
    assert not codebooks.started
    codebooks.start(quantizer, (coarse + fine)[None, None], generator(0, 0))
    assert codebooks.started
    found = [sorted(layer.embed.flatten().tolist()) for layer in quantizer.layers]
    assert found == [pytest.approx([0, 100], abs=1e-4), pytest.approx([-1, 1], abs=1e-4)]
    assert codebooks.usage.tolist() == [[0.5, 0.5]] * 2


def test_both_parts_of_a_split_quantiser_start_from_the_latents_themselves() -> None:
    torch.manual_seed(0)
    quantizer = SplitVQ(3, 4, 6, 2)
    latents = torch.randn(2, 6, 50)
    codebooks = LevelCodebooks(quantizer)
    codebooks.start(quantizer, latents, generator(1, 0))
    for part in (quantizer.semantic, quantizer.acoustic):
        x = part.input_proj(latents).mT.flatten(0, 1)
        codes = torch.cdist(x, part.vq.first.embed).argmin(1)
        means = torch.stack([x[codes == k].mean(0) for k in range(4)])
        assert torch.allclose(part.vq.first.embed, means, atol=1e-3)


@pytest.mark.golden
def test_the_update_is_the_published_one() -> None:
    _, arrays = goldens.load("soundstream_small")
    quantizer = ResidualVQ(3, 64, 16)
    codebooks = LevelCodebooks(quantizer)
    for level, layer in enumerate(quantizer.layers):
        embed = 4 * goldens.tensor(f"train.vq.layers.{level}._codebook.embed", (64, 16))
        layer.embed.copy_(embed)
        codebooks.means[level].resume(embed, torch.full((64,), 4.0))
    made = np.random.RandomState(goldens.seed() + 4).standard_normal(800).reshape(2, 16, 25).astype(np.float32)
    latents = torch.from_numpy(made)
    assert np.array_equal(arrays["train/latents"], made)
    step(codebooks, quantizer, latents, decay=0.99)
    for level, layer in enumerate(quantizer.layers):
        counts = arrays[f"train/level{level}_cluster_size"]
        assert np.allclose(codebooks.means[level].counts.numpy(), counts, atol=1e-5)
        assert np.allclose(layer.embed.numpy(), arrays[f"train/level{level}_embed"], atol=1e-5)


def test_batches_of_a_step_count_as_one() -> None:
    latents, made = torch.randn(4, 3, 10, generator=generator(0, 1)), []
    for parts in (1, 2, 4):
        torch.manual_seed(1)
        quantizer = ResidualVQ(2, 4, 3)
        codebooks = LevelCodebooks(quantizer)
        codebooks.resume()
        for batch in latents.chunk(parts):
            found = quantizer(batch)
            codebooks.collect(found, everywhere(found))
        codebooks.update(0, 0, 0.9, 0.0)
        made.append(torch.stack([layer.embed for layer in quantizer.layers]))
    assert torch.allclose(made[0], made[1], atol=1e-6)
    assert torch.allclose(made[0], made[2], atol=1e-6)


def test_levels_that_a_step_does_not_use_stay() -> None:
    quantizer = ResidualVQ(3, 4, 2)
    codebooks = LevelCodebooks(quantizer)
    codebooks.resume()
    before = [layer.embed.clone() for layer in quantizer.layers]
    quantized = quantizer(torch.randn(1, 2, 20), 2)
    codebooks.collect(quantized, everywhere(quantized))
    codebooks.update(0, 0, 0.9, 0.5)
    stayed = [torch.equal(a, layer.embed) for a, layer in zip(before, quantizer.layers, strict=True)]
    assert stayed == [False, False, True]
    assert codebooks.usage[2].tolist() == [0.25] * 4


def test_frames_behind_the_end_of_a_recording_do_not_move_codes() -> None:
    made = []
    for rest in (7.0, -900.0):
        torch.manual_seed(0)
        quantizer = ResidualVQ(1, 4, 2)
        codebooks = LevelCodebooks(quantizer)
        codebooks.resume()
        latents = torch.randn(2, 2, 6, generator=generator(0, 5))
        latents[1, :, 4:] = rest
        quantized = quantizer(latents)
        known = everywhere(quantized)
        known[1, 4:] = False
        codebooks.collect(quantized, known)
        codebooks.update(0, 0, 0.9, 0.0)
        made.append(quantizer.layers[0].embed.clone())
    assert torch.equal(made[0], made[1])


def test_dead_codes_of_every_level_come_back() -> None:
    quantizer = ResidualVQ(2, 8, 2)
    codebooks = LevelCodebooks(quantizer)
    for layer in quantizer.layers:
        layer.embed[1:] = 1000 + torch.arange(7.0)[:, None]
    codebooks.resume()
    for number in range(80):
        step(codebooks, quantizer, torch.randn(4, 2, 20, generator=generator(0, number)), number, revive_below=0.1)
    assert codebooks.figures()["used_1"] >= 6
    assert codebooks.figures()["used_2"] >= 6
    assert all(layer.embed.abs().max() < 10 for layer in quantizer.layers)


def test_one_code_for_everything_is_a_collapse() -> None:
    quantizer = ResidualVQ(2, 32, 2)
    codebooks = LevelCodebooks(quantizer)
    assert codebooks.collapsed(0.5) == {}
    codebooks.start(quantizer, torch.randn(1, 2, 3000, generator=generator(0, 0)), generator(0, 1))
    assert codebooks.collapsed(0.5) == {}
    constant = torch.ones(2, 2, 40)
    quantizer.layers[1].embed.copy_(torch.randn(32, 2) * 100)
    for number in range(60):
        step(codebooks, quantizer, constant, number)
    found = codebooks.collapsed(0.1)
    assert set(found) == {1, 2}
    assert found[1] < 1.6
    assert float(codebooks.figures()["perplexity_1"]) == pytest.approx(found[1])


def test_a_quantiser_without_codebooks_is_refused() -> None:
    with pytest.raises(ValueError, match="a module with codebooks, but is 'Linear'"):
        LevelCodebooks(torch.nn.Linear(2, 2))


_PROCESS = """
import json, sys
import torch
import torch.distributed as dist
from slmcore.layers.vq import ResidualVQ
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.rvq.codebooks import LevelCodebooks

rank, processes, meeting = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if processes > 1:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=processes)
quantizer = ResidualVQ(2, 4, 2)
codebooks = LevelCodebooks(quantizer)
codebooks.start(quantizer, torch.randn(1, 2, 60, generator=generator(rank, 99)), generator(0, 0))
for step in range(6):
    for number in range(rank, 2, processes):
        latents = torch.randn(1, 2, 9 + 4 * number, generator=generator(number, step)) + number
        found = quantizer(latents)
        codebooks.collect(found, torch.ones(found.codes.shape[1:], dtype=torch.bool))
    codebooks.update(5, step, 0.9, float(sys.argv[4]))
print(json.dumps([[layer.embed.tolist() for layer in quantizer.layers], codebooks.usage.tolist()]))
"""


def spread(folder: Path, processes: int, revive_below: float) -> list:
    meeting = folder / f"meeting-{processes}-{revive_below}"
    words = [str(processes), str(meeting), str(revive_below)]
    started = [
        subprocess.Popen([sys.executable, "-c", _PROCESS, str(rank), *words], stdout=subprocess.PIPE, text=True)
        for rank in range(processes)
    ]
    return [json.loads(process.communicate(timeout=120)[0]) for process in started]


@pytest.mark.slow
def test_two_processes_have_the_codebooks_of_one_with_all_batches(tmp_path: Path) -> None:
    one, two = spread(tmp_path, 1, 0.0), spread(tmp_path, 2, 0.0)
    assert two[0] == two[1]
    assert np.allclose(two[0][0], one[0][0], atol=1e-5)
    assert np.allclose(two[0][1], one[0][1], atol=1e-6)


@pytest.mark.slow
def test_two_processes_revive_codes_alike(tmp_path: Path) -> None:
    """Shares of unequal size, one smaller than the number of dead codes could ever be."""
    first, second = spread(tmp_path, 2, 0.9)
    assert first == second
