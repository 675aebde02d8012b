from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.ema_codebook import EMACodebook


def follower(codes: list[list[float]]) -> tuple[EMACodebook, torch.Tensor]:
    """As after a start from these codes."""
    embed = torch.tensor(codes)
    codebook = EMACodebook(*embed.shape)
    codebook.sums.copy_(embed)
    return codebook, embed


def test_it_starts_from_the_clusters_of_the_latents() -> None:
    draw = generator(1, 0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    latents = centres.repeat(50, 1) + 0.1 * torch.randn(200, 2, generator=draw)
    codebook, embed = EMACodebook(4, 2), torch.randn(4, 2)
    assert not codebook.started
    codebook.start(embed, latents, draw)
    assert float(torch.cdist(centres, embed).min(1).values.max()) < 0.1
    assert codebook.started
    before = embed.clone()
    codebook.update(embed, centres.T[None], torch.cdist(centres, embed).argmin(1)[None], 0.9, 0.0, draw)
    assert torch.allclose(embed, before.lerp(centres[torch.cdist(before, centres).argmin(1)], 0.1), atol=1e-5)


def test_codes_move_to_the_running_mean_of_their_latents():
    codebook, embed = follower([[0.0], [10.0]])
    latents, codes = torch.tensor([[[1.0, 3.0, 20.0]]]), torch.tensor([[0, 0, 1]])
    codebook.update(embed, latents, codes, 0.9, 0.0, generator(0, 0))
    # 0.9 of what was (count 1 at the code) and 0.1 of the batch (count 2 at 1 and 3; count 1 at 20).
    expected = torch.tensor([[(0.9 * 0 + 0.1 * 4) / 1.1], [(0.9 * 10 + 0.1 * 20) / 1.0]])
    assert torch.allclose(embed, expected)
    for _ in range(300):
        codebook.update(embed, latents, codes, 0.9, 0.0, generator(0, 0))
    assert torch.allclose(embed, torch.tensor([[2.0], [20.0]]), atol=1e-4)


def test_codes_out_of_use_are_put_on_latents():
    codebook, embed = follower([[0.0], [1000.0], [-1000.0]])
    latents, codes = torch.linspace(-1, 1, 50).view(1, 1, 50), torch.zeros(1, 50, dtype=torch.int64)
    for step in range(400):
        codebook.update(embed, latents, codes, 0.99, 0.1, generator(0, step))
    assert float(embed.abs().max()) <= 1
    # Two codes are used in equal measure by the figures, one of three not at all.
    codebook.counts.copy_(torch.tensor([5.0, 5.0, 0.0]))
    use = codebook.use(torch.tensor([[1, 1, 0]]))
    assert (use["used"], use["batch_codes"]) == (2, 2)
    assert use["perplexity"] == pytest.approx(2, rel=1e-5)


_PROCESS = """
import json, sys
import torch
import torch.distributed as dist
from slmzoo.training.tasks.ema_codebook import EMACodebook

rank, meeting = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
codebook, embed = EMACodebook(3, 2), torch.zeros(3, 2)
draw = torch.Generator().manual_seed(rank)
codebook.start(embed, torch.randn(40, 2, generator=draw), draw)
for _ in range(5):
    latents = torch.randn(1, 2, 9, generator=draw) + rank
    codes = torch.cdist(latents[0].T, embed).argmin(1)[None]
    codebook.update(embed, latents, codes, 0.9, 0.5, draw)
print(json.dumps([embed.tolist(), codebook.counts.tolist()]))
"""


@pytest.mark.slow
def test_several_processes_move_their_codebooks_alike(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROCESS]
    made = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "meeting")], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    outputs = [json.loads(process.communicate(timeout=120)[0]) for process in made]
    assert outputs[0] == outputs[1]
    # Each step brings 18 latents, of which the counts are running means.
    assert sum(outputs[0][1]) > 3
