from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slmcore.clustering import kmeans
from slmzoo.training.tasks.speaker_directions import SpeakerProjected, spoken_by_all


def blocks_of(spoken: list[torch.Tensor]) -> list[np.ndarray]:
    """The same frames in blocks that do not end where recordings do."""
    return [block.numpy() for block in torch.cat(spoken).split([130, 7, sum(map(len, spoken)) - 137])]


def test_a_code_is_the_same_in_every_voice() -> None:
    draw = torch.Generator().manual_seed(0)
    sounds = 10 * torch.randn(6, 16, generator=draw)
    offsets = [40 * torch.randn(16, generator=draw), 40 * torch.randn(16, generator=draw), torch.zeros(16)]
    spoken = [sounds.repeat(20, 1) + offset + torch.randn(120, 16, generator=draw) for offset in offsets]
    voices, counts = ["a", "b", "b", "c"], [120, 50, 70, 120]
    free = SpeakerProjected.of_means(blocks_of(spoken), voices, counts, 2)
    means = torch.stack([x.mean(0) for x in torch.cat(list(free)).split(120)])
    assert torch.allclose(means, means[:1].expand(3, 16), atol=1e-3)
    units = [kmeans.assign(x, kmeans.fit(free, 6)) for x in spoken]
    assert len(units[0].unique()) == 6
    assert all(torch.equal(found, units[0]) for found in units)
    # With the voices left in, a code belongs to one voice only.
    apart = kmeans.fit(torch.cat(spoken), 6)
    assert not torch.equal(kmeans.assign(spoken[0], apart), kmeans.assign(spoken[1], apart))


def test_of_few_directions_the_strongest_go() -> None:
    draw = torch.Generator().manual_seed(1)
    offsets = torch.tensor([[50.0, 0.0, 0.0], [-50.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    spoken = [offset + torch.randn(100, 3, generator=draw) for offset in offsets]
    free = torch.cat(list(SpeakerProjected.of_means(blocks_of(spoken), ["a", "b", "c"], [100] * 3, 1)))
    assert float(free[:, 0].std()) < 0.5
    assert torch.allclose(free[:, 1:], torch.cat(spoken)[:, 1:], atol=0.5)


def test_of_the_same_sentences_what_differs_from_frame_to_frame_goes() -> None:
    """Voice b has each sound elsewhere on the first two axes, so that no constant offset tells the voices apart."""
    draw = torch.Generator().manual_seed(2)
    sounds, moved = 10 * torch.randn(12, 8, generator=draw), 30 * torch.randn(12, 2, generator=draw)
    other = sounds + torch.nn.functional.pad(moved - moved.mean(0), (0, 6))

    def spoken(by: torch.Tensor, order: list[int], frames: int) -> torch.Tensor:
        return by[order].repeat_interleave(frames, 0) + 0.1 * torch.randn(len(order) * frames, 8, generator=draw)

    orders = [torch.randperm(12, generator=draw).tolist() for _ in range(6)]
    sentences = [(spoken(sounds, order, 3), spoken(other, order, 5)) for order in orders]
    blocks = [x.numpy() for sentence in sentences for x in sentence]
    free = SpeakerProjected.of_sentences(blocks, sentences, 2)
    codes = kmeans.fit(free, 12)
    for i in range(12):
        near = [kmeans.assign(spoken(by, [i], 20), codes) for by in (sounds, other)]
        assert len(torch.cat(near).unique()) == 1
    # The means do not differ, so that without them nothing changes.
    means = SpeakerProjected.of_means(blocks, ["a", "b"] * 6, [len(block) for block in blocks], 1)
    apart = kmeans.assign(torch.cat([sounds, other]), kmeans.fit(means, 12))
    assert not torch.equal(apart[:12], apart[12:])
    gone = torch.cat(list(free)) - torch.cat([torch.from_numpy(block) for block in blocks])
    assert torch.linalg.matrix_rank(gone - gone.mean(0), rtol=1e-4) == 2


@pytest.mark.parametrize("size", [4, -1])
def test_there_are_fewer_directions_than_dimensions(size: int) -> None:
    with pytest.raises(ValueError, match="`speaker_directions` must be from 0 to 3 for features of 4 values"):
        SpeakerProjected.of_sentences([np.zeros((20, 4), np.float32)], [], size)


def test_what_all_voices_speak_has_a_file_of_one_name_in_each_folder() -> None:
    files = [Path(name) for name in ("b/2.wav", "a/1.wav", "a/2.flac", "b/3.wav", "a/0.wav", "b/0.wav")]
    assert spoken_by_all(files) == [[Path("a/0.wav"), Path("b/0.wav")], [Path("a/2.flac"), Path("b/2.wav")]]
    assert spoken_by_all(files[:1]) == [files[:1]]


@pytest.mark.parametrize("size", [3, -1])
def test_there_are_fewer_directions_than_voices(size: int) -> None:
    with pytest.raises(ValueError, match="`speaker_directions` must be from 0 to 1"):
        SpeakerProjected.of_means([np.zeros((20, 4), np.float32)], ["a", "b"], [10, 10], size)
