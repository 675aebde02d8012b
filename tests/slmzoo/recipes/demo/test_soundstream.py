from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from slmcore import audio
from slmcore.files.checkpoint import read
from slmzoo.convert import published
from slmzoo.recipes.demo import __main__ as whole
from slmzoo.recipes.demo import common, soundstream
from slmzoo.training.tasks import soundstream as training
from soundstream import SoundStream, load


def test_it_is_small_causal_and_streams(tmp_path: Path) -> None:
    sizes = soundstream.settings(tmp_path, tmp_path / "runs").sizes
    model = SoundStream(sizes)
    assert sum(value.numel() * 2 for value in model.state_dict().values()) < 3e6
    assert sizes.seanet.streamable
    assert (model.sample_rate, model.frame_rate) == (16_000, 50.0)
    wav = torch.randn(1, 2000, generator=torch.Generator().manual_seed(0))
    stream = model.eval().streaming()
    codes = torch.cat([*map(stream.encode, wav.split(700, 1)), stream.flush()], -1)
    assert codes.shape == (1, 8, 7)


def test_the_stage_trains_ships_and_resumes(tmp_path: Path, monkeypatch) -> None:
    draw = torch.Generator().manual_seed(0)
    for split in ("train", "test"):
        (tmp_path / "wavs" / split).mkdir(parents=True)
        audio.write(tmp_path / "wavs" / split / "a.wav", 0.1 * torch.randn(20_000, generator=draw), 16_000)
    usual, asked = soundstream.settings, []

    def short(data: Path, runs: Path) -> training.SoundStreamSettings:
        asked.append(
            replace(usual(data, runs), steps=2, batch=1, start_crops=40, n_filters=2, statistics_crops=1,
                    discriminators=(), device="cpu")
        )  # fmt: skip
        return asked[-1]

    monkeypatch.setattr(soundstream, "settings", short)
    monkeypatch.setattr(common, "DEMO", tmp_path)
    soundstream.make(tmp_path, tmp_path / "runs")
    first = (tmp_path / "soundstream.safetensors").read_bytes()
    about = read(tmp_path / "soundstream.safetensors", "soundstream", published)
    assert "settings" not in about.provenance
    assert about.provenance["recipe"].endswith("--only soundstream")
    assert load(tmp_path / "soundstream.safetensors").latent_scale.known
    soundstream.make(tmp_path, tmp_path / "runs")
    assert (tmp_path / "soundstream.safetensors").read_bytes() == first
    assert all(chosen.resume for chosen in asked)


def test_it_is_a_stage_of_the_demo() -> None:
    assert "soundstream" in whole.STAGES
