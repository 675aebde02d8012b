from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from slmcore import audio
from slmcore.files.checkpoint import read, save
from slmcore.files.zoofile import add_row, rows_of_file
from slmcore.units import OperatingPoint
from slmzoo.recipes.demo import __main__ as whole
from slmzoo.recipes.demo import codebook, codec, common, encoder, vocoder
from slmzoo.training.data.feature_samples import cepstral_features
from slmzoo.training.data.pseudo_labels import read_targets
from slmzoo.training.loop.fit import publish
from slmzoo.training.tasks.vocoder import VocoderSettings
from twist import UnitVocoder
from twist.vocoder import load as load_vocoder
from wavlm_codebooks import Codebook, wavlm
from wavtokenizer import model as wavtokenizer


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two sentences that two voices speak, the second voice slower, and one that only one speaks."""
    draw = torch.Generator().manual_seed(0)
    sentences = [torch.randn(30, generator=draw).sign().repeat_interleave(400) * 0.2 for _ in range(3)]
    for split in ("train", "test"):
        for voice, slower in (("slt", 1), ("rms", 2)):
            for i, pattern in enumerate(sentences[: 3 if voice == "slt" else 2]):
                path = tmp_path / "wavs" / split / voice / f"{split}-{i}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = torch.randn(len(pattern) * slower, generator=draw)
                audio.write(path, (pattern + 0.21).repeat_interleave(slower) * noise, 16000)
    return tmp_path


def test_targets_are_the_reference_voices_clusters_aligned_in_time(data: Path, monkeypatch) -> None:
    files = encoder.shared(data / "wavs")
    assert [f"{file.parent.name}/{file.stem}" for file in files] == [
        "rms/train-0", "rms/train-1", "slt/train-0", "slt/train-1",
    ]  # fmt: skip
    folder = encoder.write_targets(files, data / "targets", cepstral_features, 6)
    slow, _, plain, _ = read_targets(files, folder, [75, 75, 37, 37], 6)
    assert (plain[0], plain[-1]) == (slow[0], slow[-1])
    assert set(slow.tolist()) <= set(plain.tolist())
    # The clusters come in the same order: joined repeats of the slow voice are a subsequence of the plain one's frames.
    left = iter(plain.tolist())
    assert all(cluster in left for cluster in torch.unique_consecutive(slow).tolist())
    before = (folder / "rms" / "train-0.npy").stat().st_mtime_ns
    encoder.write_targets(files, data / "targets", cepstral_features, 6)
    assert (folder / "rms" / "train-0.npy").stat().st_mtime_ns == before


def test_each_stage_trains_what_the_demo_is_made_of(data: Path, monkeypatch) -> None:
    asked, shipped = {}, {}
    for stage in (encoder, codebook, codec):
        name = stage.__name__.rpartition(".")[2]
        monkeypatch.setattr(stage, "train", lambda settings, name=name: asked.update({name: settings}))
        monkeypatch.setattr(stage, "ship", lambda run, file, **more: shipped.update({run.name: file}))
    monkeypatch.setattr(encoder, "CLUSTERS", (6, 7, 7))
    monkeypatch.setattr(encoder, "made", lambda run, kind: str(common.DEMO / f"{kind}.safetensors"))
    (data / "runs").mkdir()
    for stage in (encoder, codebook, codec):
        stage.make(data, data / "runs")
    demo = wavlm.load(common.DEMO / "wavlm.safetensors")
    encoding, clustering, coding = asked.values()
    assert encoding.sizes.dim == demo.dim
    assert len(encoding.audio) == 4
    assert (clustering.speaker_directions, clustering.aligned_sentences) == (12, 200)
    assert (clustering.k, clustering.save_half) == ((200,), True)
    assert coding.discriminator_from is None
    assert coding.sizes == wavtokenizer.load(common.DEMO / "wavtokenizer.safetensors").config
    assert all(settings.resume for settings in asked.values())
    assert shipped == {
        "encoder": "wavlm.safetensors", "codebook": "codebook.safetensors", "codec": "wavtokenizer.safetensors",
    }  # fmt: skip
    # What the encoder and the codebook have in common with the shipped demo, and the units of the whole corpus.
    units = np.load(data / "units" / "test" / "rms" / "test-1.npy")
    assert units.dtype == np.int16
    assert len(units) == 75


def test_the_vocoder_is_small_and_joins_the_demo(data: Path, tmp_path: Path, monkeypatch) -> None:
    asked: list[VocoderSettings] = []
    shop = tmp_path / "demo"
    shop.mkdir()
    for name in ("zoo.json", "codebook.safetensors"):
        shutil.copy(common.DEMO / name, shop / name)
    for module in (common, vocoder):
        monkeypatch.setattr(module, "DEMO", shop)

    def train(settings: VocoderSettings) -> None:
        asked.append(settings)
        torch.manual_seed(0)
        model = UnitVocoder(settings.sizes(200, 50.0), settings.point())
        publish(settings, model.checkpoint(), frame_rate=50.0)

    monkeypatch.setattr(vocoder, "train", train)
    for _ in range(2):  # again, as after more training
        vocoder.make(data, tmp_path / "runs")
    assert asked[0].resume
    assert asked[0].train_speech == data / "wavs" / "train" / "slt"
    (row,) = [row for row in rows_of_file(shop / "zoo.json") if row.kind == "unit_hifigan"]
    assert (row.k, row.frame_rate, row.encoder) == (200, 50.0, "wavlm_demo")
    assert sorted(file.name for file in shop.iterdir()) == [
        "codebook.safetensors",
        "unit_hifigan.safetensors",
        "zoo.json",
    ]
    assert (shop / "unit_hifigan.safetensors").stat().st_size <= 3e6
    loaded = load_vocoder(row.url)
    assert loaded.operating_point == common.demo_point()
    assert loaded.speak([[1, 2, 3]])[0].sample_rate == 16000


def test_what_is_shipped_is_of_the_demo_and_names_no_folder(tmp_path: Path, monkeypatch) -> None:
    run, shop = tmp_path / "codebook", tmp_path / "demo"
    run.mkdir()
    shop.mkdir()
    point = OperatingPoint(zoo="mine", encoder="wavlm_demo", layer=3, k=4, lmbda=7.0)
    made = {"command": "train codebook", "settings": {"run": str(run)}}
    save(run / "c.safetensors", Codebook(torch.randn(4, 2), point).checkpoint(made))
    add_row(run / "zoo.json", "mine", {"kind": "wavlm", "file": "other.safetensors"})
    add_row(run / "zoo.json", "mine", {"kind": "codebook", "k": 4, "file": "c.safetensors"})
    monkeypatch.setattr(common, "DEMO", shop)
    common.ship(run, "codebook.safetensors", units_per_second=12.5)
    found = read(shop / "codebook.safetensors", "codebook", dict)
    assert found.state["codebook"].dtype == torch.float16
    assert found.operating_point == OperatingPoint(zoo="demo", encoder="wavlm_demo", layer=3, k=4, lmbda=7.0)
    assert found.provenance["recipe"] == "python -m slmzoo.recipes.demo --only codebook"
    assert found.provenance["units_per_second"] == 12.5
    assert str(tmp_path) not in str(found.provenance)


def test_stages_go_in_order_and_unknown_ones_are_refused(tmp_path: Path, monkeypatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(whole, "synthesise", lambda folder: made.append(f"corpus in {folder.name}"))
    for stage in (encoder, codec):
        name = stage.__name__.rpartition(".")[2]
        monkeypatch.setattr(stage, "make", lambda data, runs, name=name: made.append(name))
    arguments = ["demo", "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs"), "--only"]
    monkeypatch.setattr("sys.argv", [*arguments, "codec", "corpus", "encoder"])
    whole.main()
    assert made == ["corpus in data", "encoder", "codec"]
    monkeypatch.setattr("sys.argv", [*arguments, "codek"])
    with pytest.raises(SystemExit, match="no stage codek"):
        whole.main()
