from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import torch
from torch import Tensor

from slmcore import audio
from slmzoo.training.data.segments import FileSegments, ListedSegments, batch_of, segments_of
from slmzoo.training.loop.task import generator

RATE = 8000


def wavs(folder: Path) -> list[Tensor]:
    """Three recordings whose every sample tells which it is and where in it."""
    folder.mkdir()
    made = []
    for i, samples in enumerate((400, 2000, 4000)):
        made.append((torch.arange(samples) + 5000 * i).float() / 2**15 + 0.01)
        audio.write(folder / f"{i}.wav", made[-1], RATE)
    return made


def tarred(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as tar:
        for file in sorted(folder.glob("*.wav")):
            content = file.read_bytes()
            about = tarfile.TarInfo(file.name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return target


@pytest.mark.parametrize("kind", ["folder", "tar", "manifest"])
def test_segments_are_cut_from_recordings_in_proportion_to_their_length(tmp_path: Path, kind: str) -> None:
    made = wavs(tmp_path / "wavs")
    named = {"folder": tmp_path / "wavs", "tar": tmp_path / "all.tar", "manifest": tmp_path / "all.csv"}[kind]
    if kind == "tar":
        tarred(tmp_path / "wavs", named)
    if kind == "manifest":
        named.write_text("path\n" + "".join(f"wavs/{i}.wav\n" for i in range(3)))
    source = segments_of([str(named)], RATE)
    assert isinstance(source, FileSegments if kind == "folder" else ListedSegments)
    assert (len(source), source.name(2)) == (3, "2")
    assert torch.allclose(source.whole(1), made[1], atol=1e-4)
    counts, starts = torch.zeros(3), []
    for number in range(150):
        segment = source.segment(number, 1000, generator(0, number))
        index = min(range(3), key=lambda i: float((made[i][:, None] - segment[0]).abs().min()))
        counts[index] += 1
        first = int((made[index] - segment[0]).abs().argmin())
        assert torch.allclose(segment, made[index][first : first + 1000], atol=1e-4)
        starts.append(first if index == 2 else 0)
    assert (counts / 150).tolist() == pytest.approx([400 / 6400, 2000 / 6400, 4000 / 6400], abs=0.12)
    assert max(starts) > 2700
    again = source.segment(999, 1000, generator(0, 3))
    assert torch.equal(again, source.segment(3, 1000, generator(0, 3)))
    assert source.identity() == {}
    assert source.facts()["recordings"] == 3


def test_a_batch_is_padded_with_zeros(tmp_path: Path) -> None:
    wavs(tmp_path / "wavs")
    batch = batch_of(segments_of([str(tmp_path / "wavs")], RATE), range(40), 1000, generator(0, 0))
    assert batch["wav"].shape == (40, 1000)
    assert set(batch["lengths"].tolist()) == {400, 1000}
    for wav, length in zip(batch["wav"], batch["lengths"].tolist(), strict=True):
        assert bool((wav[:length] > 0).all())
        assert bool((wav[length:] == 0).all())


def test_audio_of_other_rates_is_resampled(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", 0.1 * torch.randn(16000, generator=generator(0, 0)), 16000)
    tarred(tmp_path, tmp_path / "a.tar")
    for named in ("a.wav", "a.tar"):
        assert len(segments_of([str(tmp_path / named)], RATE).whole(0)) == 8000


def test_sources_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    wavs(tmp_path / "wavs")
    with pytest.raises(ValueError, match="one dataset, or files, folders and lists"):
        segments_of([str(tmp_path / "wavs"), "huggingface:owner/name:train"], RATE)
    with pytest.raises(ValueError, match="`column` must be left out where the audio is no dataset"):
        segments_of([str(tmp_path / "wavs")], RATE, "audio")
    (tmp_path / "empty.csv").write_text("path\n")
    with pytest.raises((ValueError, FileNotFoundError)):
        segments_of([str(tmp_path / "empty.csv")], RATE)
