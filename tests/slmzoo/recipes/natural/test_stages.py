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
from slmzoo import hub
from slmzoo.convert import published
from slmzoo.recipes.natural import __main__ as whole
from slmzoo.recipes.natural import (
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
from slmzoo.recipes.natural.common import ZOO, made_at
from slmzoo.recipes.natural.corpus import balanced_by_voice
from slmzoo.recipes.speech.natural import REFERENCE
from slmzoo.training.data.feature_samples import cepstral_features

pytest.importorskip("lightning", reason="slmzoo[train]")
SHORT: dict[str, Any] = {"steps": 3, "batch": 2, "warmup": 1, "precision": "32"}
SMALL: dict[str, Any] = {"dim": 16, "hidden_dim": 32, "n_layers": 1, "head_dim": 8, "n_heads": 2, "n_kv_heads": 2}
CONVOLUTIONS = ("8,40,20", "8,8,4", "16,8,4")
ENCODER: dict[str, Any] = {
    "conv_layers": CONVOLUTIONS, "dim": 16, "ffn_dim": 16, "heads": 2, "layers": 5, "held_out": 1, "clusters": 8,
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
MODELS = ("wavlm", "codebook", "wavtokenizer", "ulm", "ellav", "unit_hifigan", "speechtokenizer", "soundstream")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of the corpus: two speakers, and the reference voice, of noise in bursts."""
    folder, draw = tmp_path_factory.mktemp("corpus"), torch.Generator().manual_seed(0)
    for split in ("train", "dev"):
        for speaker in (REFERENCE, "s001"):
            for i in range(3):
                bursts = torch.rand(8, generator=draw).repeat_interleave(2000)
                path = folder / "wavs" / split / speaker / f"{split}-{i:06d}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                audio.write(path, (0.2 * bursts * torch.randn(16_000, generator=draw))[None], 16_000)
    return folder


def test_every_stage_trains_on_what_the_one_before_made(corpus: Path, tmp_path: Path, monkeypatch) -> None:
    compared: list[Path] = []
    monkeypatch.setattr(speechtokenizer, "compare", compared.append)
    encoder.make(corpus, tmp_path, cepstral_features, **ENCODER, **SHORT)
    targets = sorted((tmp_path / "targets").rglob("train-*.npy"))
    assert len(targets) == 6
    assert all(len(np.load(file)) == 50 for file in targets)
    codebook.make(corpus, tmp_path, k=(12,), num_neighbors=12, frame_fraction=0.5, rate=20.0)
    units = np.load(tmp_path / "units" / "dev" / "s001" / "dev-000001.npy")
    assert (units.dtype, units.shape) == (np.int16, (50,))
    assert units.max() < 12
    assert made_at(tmp_path)["k"] == 12
    codec.make(corpus, tmp_path, **{**SHORT, **CODEC})
    ulm.make(corpus, tmp_path, **SHORT, **SMALL, chunk=16)
    ellav.make(corpus, tmp_path, **SHORT, **SMALL)
    vocoder.make(corpus, tmp_path, **VOCODER)
    speechtokenizer.make(corpus, tmp_path, **CODECS)
    soundstream.make(corpus, tmp_path, **CODECS, statistics_crops=1)
    assert compared == [tmp_path]
    (plain,) = rows_of_file(tmp_path / "speechtokenizer-plain" / "zoo.json")
    assert read(plain.url, "speechtokenizer", published).config["semantic_dimension"] == 8
    made = hub.pipeline(zoo=ZOO, registry=tmp_path / "zoo.json")
    spoken = made.resynthesize(*audio.load(corpus / "wavs" / "dev" / "s001" / "dev-000000.wav"))
    assert spoken[0].sample_rate == 16_000
    (tmp_path / "demo").mkdir()
    ship.ship(tmp_path, tmp_path / "demo")
    shipped = {row.kind: row for row in rows_of_file(tmp_path / "demo" / "zoo.json")}
    assert shipped.keys() == {*MODELS}
    assert shipped["ulm"].operating_point == replace(made.operating_point, zoo="demo")
    assert (shipped["wavtokenizer"].encoder, shipped["wavtokenizer"].frame_rate) == (None, 40.0)
    for kind, row in shipped.items():
        content = read(row.url, kind, published)
        assert {x.dtype for x in content.state.values() if x.is_floating_point()} == {torch.float16}
        assert "settings" not in content.provenance
        assert str(tmp_path) not in str(content.provenance)
    # Once more: resumed runs that are finished change nothing, and no target or unit is made again.
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")}
    encoder.make(corpus, tmp_path, cepstral_features, **ENCODER, **SHORT)
    codebook.make(corpus, tmp_path, k=(12,), num_neighbors=12, frame_fraction=0.5, rate=20.0)
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_of_voices_with_many_recordings_the_first_are_taken(tmp_path: Path) -> None:
    for voice, count in (("joe", 700), ("s001", 3), ("s002", 300)):
        (tmp_path / "wavs" / "train" / voice).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "wavs" / "train" / voice / f"{i:03d}.wav").touch()
    chosen = [(file.parent.name, int(file.stem)) for file in balanced_by_voice(tmp_path)]
    assert [i for voice, i in chosen if voice == "joe"] == list(range(300))
    assert [sum(voice == name for voice, _ in chosen) for name in ("s001", "s002")] == [3, 300]


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
