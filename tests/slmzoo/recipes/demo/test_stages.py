"""The demo's recipe in miniature: every stage trains on what the one before made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slmcore import audio
from slmcore.files.checkpoint import read
from slmcore.files.zoofile import rows_of_file
from slmcore.units import OperatingPoint, Units
from slmzoo import hub
from slmzoo.convert import published
from slmzoo.recipes.demo import __main__ as whole
from slmzoo.recipes.demo import (
    codebook,
    codec,
    ellav,
    encoder,
    ship,
    soundstream,
    speechtokenizer,
    ulm,
    vocoder,
)
from slmzoo.recipes.demo import units as units_stage
from slmzoo.recipes.demo.common import ZOO, made_at
from slmzoo.recipes.demo.corpus import balanced_by_voice
from slmzoo.recipes.speech.natural import REFERENCE
from slmzoo.training.data.feature_samples import cepstral_features

pytest.importorskip("lightning", reason="slmzoo[train]")
SHORT: dict[str, Any] = {"steps": 3, "batch": 2, "warmup": 1, "precision": "32"}
SMALL: dict[str, Any] = {"dim": 16, "hidden_dim": 32, "n_layers": 1, "head_dim": 8, "n_heads": 2, "n_kv_heads": 2}
CONVOLUTIONS = ("8,40,20", "8,8,4", "16,8,4")
ENCODER: dict[str, Any] = {
    "conv_layers": CONVOLUTIONS, "dim": 16, "ffn_dim": 16, "heads": 2, "layers": 5, "held_out": 1, "clusters": 12,
}  # fmt: skip
CODEC: dict[str, Any] = {
    "n_filters": 2, "dimension": 8, "codebook_size": 16, "decoder_dim": 32, "decoder_intermediate": 32,
    "decoder_layers": 1, "crop": 4000, "start_crops": 8, "encoder_only_until": 1, "quantize_from": 1, "freeze_from": 1,
}  # fmt: skip
VOCODER: dict[str, Any] = {
    "steps": 2, "batch": 1, "warmup": 1, "discriminator_from": 1, "discriminator_width": 4, "dim": 8, "channels": 16,
    "duration_width": 8, "held_out": 1,
}  # fmt: skip
CODECS: dict[str, Any] = {
    "steps": 2, "batch": 1, "warmup": 1, "crop": 3200, "start_crops": 40, "n_filters": 2, "dimension": 8,
    "codebook_size": 16, "discriminators": (), "held_out": 1,
}  # fmt: skip
CODEC_SYSTEMS = ("speechtokenizer", "soundstream")
MODELS = ("wavlm", "codebook", "wavtokenizer", "ulm", "ellav", "unit_hifigan", *CODEC_SYSTEMS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of the corpus: a speaker, the reference voice and a person, of noise in bursts."""
    folder, draw = tmp_path_factory.mktemp("corpus"), torch.Generator().manual_seed(0)
    for split in ("train", "dev"):
        for speaker in (REFERENCE, "s001"):
            for i in range(3):
                bursts = torch.rand(8, generator=draw).repeat_interleave(2000)
                path = folder / "wavs" / split / speaker / f"{split}-{i:06d}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                audio.write(path, (0.2 * bursts * torch.randn(16_000, generator=draw))[None], 16_000)
    person = folder / "people" / "queen" / "train-000000.wav"
    person.parent.mkdir(parents=True)
    audio.write(person, 0.1 * torch.randn(1, 16_000, generator=draw), 16_000)
    return folder


def make_all(corpus: Path, runs: Path, shipped: Path) -> None:
    """Run all stages but the corpus."""
    encoder.make(corpus, runs, cepstral_features, **ENCODER, **SHORT)
    codebook.make(corpus, runs, k=(12,), num_neighbors=12, rate=None, lmbda=(0.5,))
    units_stage.make(corpus, runs)
    codec.make(corpus, runs, **{**SHORT, **CODEC})
    ulm.make(corpus, runs, **SHORT, **SMALL, chunk=16)
    ellav.make(corpus, runs, **SHORT, **SMALL)
    vocoder.make(corpus, runs, **VOCODER)
    speechtokenizer.make(corpus, runs, **CODECS)
    soundstream.make(corpus, runs, **CODECS, statistics_crops=1)
    ship.ship(runs, shipped)


def test_every_stage_trains_on_what_the_one_before_made(corpus: Path, tmp_path: Path, monkeypatch) -> None:
    compared: list[Path] = []
    monkeypatch.setattr(speechtokenizer, "compare", compared.append)
    demo = tmp_path / "demo"
    demo.mkdir()
    make_all(corpus, tmp_path, demo)
    targets = sorted((tmp_path / "targets").rglob("train-*.npy"))
    assert len(targets) == 7
    assert all(len(np.load(file)) == 50 for file in targets)
    units = np.load(tmp_path / "units" / "dev" / "s001" / "dev-000001.npy")
    assert (units.dtype, units.shape) == (np.int16, (50,))
    assert units.max() < 12
    assert {file.name for file in (tmp_path / "heard" / REFERENCE).iterdir()} == {
        f"train-00000{i}.npy" for i in range(3)
    }
    assert made_at(tmp_path)["k"] == 12
    assert compared == [tmp_path]
    (plain,) = rows_of_file(tmp_path / "speechtokenizer-plain" / "zoo.json")
    assert read(plain.url, "speechtokenizer", published).config["semantic_dimension"] == 8
    made = hub.pipeline(zoo=ZOO, registry=tmp_path / "zoo.json")
    spoken = made.resynthesize(*audio.load(corpus / "wavs" / "dev" / "s001" / "dev-000000.wav"))
    assert spoken[0].sample_rate == 16_000
    zoos = {name: rows_of_file(demo / f"{name}.json") for name in ("zoo", *CODEC_SYSTEMS)}
    assert {row.zoo for row in zoos["zoo"]} == {"demo"}
    assert all([(row.zoo, row.system) for row in zoos[name]] == [(f"demo-{name}", name)] for name in CODEC_SYSTEMS)
    shipped = {row.kind: row for rows in zoos.values() for row in rows}
    assert shipped.keys() == {*MODELS}
    assert {file.name for file in demo.iterdir()} == {
        *(f"{name}.json" for name in zoos),
        *(f"{kind}.safetensors" for kind in MODELS),
    }
    assert shipped["ulm"].operating_point == replace(made.operating_point, zoo="demo")
    assert (shipped["wavtokenizer"].encoder, shipped["wavtokenizer"].frame_rate) == (None, 40.0)
    for kind, row in shipped.items():
        content = read(row.url, kind, published)
        assert {x.dtype for x in content.state.values() if x.is_floating_point()} == {torch.float16}
        assert "settings" not in content.provenance
        assert content.provenance["licence"] == "MIT"
        assert str(tmp_path) not in str(content.provenance)
    # Once more: resumed runs that are finished change nothing, and no target or unit is made again.
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*-0*.npy")}
    weights = {file: file.read_bytes() for file in demo.iterdir()}
    make_all(corpus, tmp_path, demo)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert {file: file.read_bytes() for file in demo.iterdir()} == weights


def test_of_voices_with_many_recordings_the_first_are_taken(tmp_path: Path) -> None:
    counts = {"wavs/train/joe": 1200, "wavs/train/s001": 3, "wavs/train/slt": 301, "people/queen": 400}
    for voice, count in counts.items():
        (tmp_path / voice).mkdir(parents=True)
        for i in range(count):
            (tmp_path / voice / f"{i:04d}.wav").touch()
    chosen = [(file.parent.name, int(file.stem)) for file in balanced_by_voice(tmp_path)]
    assert [i for voice, i in chosen if voice == "joe"] == list(range(1000))
    assert [sum(voice == name for voice, _ in chosen) for name in ("s001", "slt", "queen")] == [3, 300, 400]


def test_targets_of_recordings_that_come_later_are_of_the_same_clusters(corpus: Path, tmp_path: Path) -> None:
    files = audio.find([corpus / "wavs" / "train"])
    encoder.write_targets(files[:4], tmp_path, cepstral_features, 6)
    clusters = (tmp_path / "clusters.npy").read_bytes()
    encoder.write_targets(files, tmp_path, cepstral_features, 6)
    assert (tmp_path / "clusters.npy").read_bytes() == clusters
    assert len(list(tmp_path.rglob("train-*.npy"))) == len(files)


def test_stages_run_in_their_order_and_unknown_ones_are_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    made: list[str] = []
    for stage in (encoder, codec):
        name = stage.__name__.rpartition(".")[2]
        monkeypatch.setattr(stage, "make", lambda data, runs, name=name: made.append(f"{name} of {data.name}"))
    where = ["--data", str(tmp_path / "corpus"), "--runs", str(tmp_path / "runs")]
    whole.main([*where, "--only", "codec", "encoder"])
    assert made == ["encoder of corpus", "codec of corpus"]
    with pytest.raises(SystemExit):
        whole.main([*where, "--only", "codek"])
    assert "invalid choice: 'codek'" in capsys.readouterr().err


class Ramp:
    """Encoder of 20 ms frames whose feature is the mean of the frame's samples; its units are ten times that."""

    sample_rate, operating_point = 16_000, OperatingPoint(zoo="ramp", layer=1)

    def features_batch(self, wavs: list[torch.Tensor], sr: int, layer: int) -> list[torch.Tensor]:
        assert (sr, layer) == (16_000, 1)
        return [wav[0, : wav.shape[-1] // 320 * 320].view(-1, 320).mean(1, keepdim=True) for wav in wavs]

    def segment(self, features: list[torch.Tensor]) -> list[Units]:
        return [
            Units(units=(10 * x[:, 0]).round().long(), durations=torch.ones(len(x)).long(), frame_rate=50)
            for x in features
        ]


def test_units_of_another_speaker_come_at_the_times_of_the_reference() -> None:
    ramp = Ramp()
    levels = torch.tensor([0.1, 0.5, 0.3])
    slow, fast = (levels.repeat_interleave(frames * 320) for frames in (6, 2))
    units = units_stage.Units(ramp, ramp)
    assert units_stage.aligned_units(units, slow, fast + 0.08).tolist() == [2] * 6 + [6] * 6 + [4] * 6


def test_units_of_a_disturbed_copy_are_on_the_frames_of_the_original() -> None:
    ramp = Ramp()
    wav = torch.tensor([0.1, 0.5, 0.3]).repeat_interleave(100 * 320)
    units = units_stage.Units(ramp, ramp)
    found = [units_stage.disturbed(units, wav, 300, torch.Generator().manual_seed(seed)) for seed in range(8)]
    assert {(len(x), x.dtype) for x in found} == {(300, torch.int16)}
    assert torch.equal(found[0], units_stage.disturbed(units, wav, 300, torch.Generator().manual_seed(0)))
    assert len({tuple(x.tolist()) for x in found}) > 4
