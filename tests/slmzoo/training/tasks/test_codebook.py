from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from slmcore import audio
from slmcore.clustering import kmeans
from slmcore.files import registry as table
from slmcore.files.checkpoint import read
from slmzoo import hub
from slmzoo.cli import main
from slmzoo.systems import dp_slm
from slmzoo.training.data import feature_samples
from slmzoo.training.data.feature_samples import drawn_frames
from slmzoo.training.loop.run import Run
from slmzoo.training.tasks import codebook
from slmzoo.training.tasks.codebook import CodebookSettings, train
from slmzoo.training.tasks.speaker_directions import SpeakerProjected
from tests.reference.tiny_zoo import K


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven files of bursts of noise, at two rates."""
    folder, draw = tmp_path_factory.mktemp("speech"), torch.Generator().manual_seed(0)
    for i in range(7):
        rate = (16000, 22050)[i % 2]
        loudness = torch.rand(12, generator=draw).repeat_interleave(rate // 20)
        audio.write(folder / f"{i}.wav", 0.3 * loudness * torch.randn(len(loudness), generator=draw), rate)
    return folder


@pytest.fixture(autouse=True)
def _zoo(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))


def settings(run: Path, speech: Path, **more: object) -> CodebookSettings:
    usual = {"audio": [str(speech)], "encoder_zoo": "tiny", "layer": 2, "k": (4, 9), "frame_fraction": 0.5, "batch": 3}
    return CodebookSettings(run=run, device="cpu", **{**usual, **more})  # pyright: ignore[reportArgumentType]


def test_from_speech_to_codebooks_that_load_by_k_and_are_as_good_as_scikit_learns(speech: Path, tmp_path: Path) -> None:
    points = train(
        settings(tmp_path / "run", speech, frame_fraction=1.0, rate=30.0, num_neighbors=3, trials=8, save_half=True)
    )
    zoo = tmp_path / "run" / "zoo.json"
    encoder = dp_slm.wavlm(zoo="mine", registry=zoo)[0]
    x = [encoder.features(*audio.load(file), layer=2) for file in audio.find(speech)]
    for k, point in zip((4, 9), points, strict=True):
        book = dp_slm.load_codebook(k=k, zoo="mine", registry=zoo)
        assert book.operating_point == point
        assert (point.encoder, point.layer, point.k, point.num_neighbors) == ("tiny", 2, k, 3)
        reference = KMeans(k, n_init=8, random_state=0).fit(torch.cat(x).numpy())
        inertia = torch.cdist(torch.cat(x).double(), book.codes.double()).min(1).values.square().sum()
        assert float(inertia) <= 1.01 * reference.inertia_
        quantizer = dp_slm.quantizer(k=k, lmbda=point.lmbda, num_neighbors=3, zoo="mine", registry=zoo)
        units = [quantizer.segment(each) for each in x]
        assert sum(map(len, units)) / sum(u.seconds for u in units) == pytest.approx(30, rel=0.05)
    made = read(tmp_path / "run" / "codebook-k9.safetensors", "codebook", dict)
    assert made.provenance["frames"] == len(torch.cat(x))
    assert made.state["codebook"].dtype == torch.float16
    assert {row.kind for row in table.rows("mine", registry=zoo)} == {"wavlm", "codebook"}


def test_layer_0_clusters_the_output_of_the_encoder_after_its_last_norm(speech: Path, tmp_path: Path) -> None:
    (point,) = train(settings(tmp_path / "run", speech, layer=0, k=(4,), frame_fraction=1.0, lmbda=(0.0,)))
    where = {"zoo": "mine", "registry": tmp_path / "run" / "zoo.json"}
    encoder, codes = dp_slm.wavlm(**where)[0], dp_slm.load_codebook(k=4, **where).codes
    last = [encoder.features(*audio.load(file), layer=encoder.num_layers) for file in audio.find(speech)]
    output = [encoder.output_norm(x).detach() for x in last]
    assert point.layer is None
    reference = KMeans(4, n_init=8, random_state=0).fit(torch.cat(output).numpy())
    distances = [torch.cdist(x, codes) for x in output]
    assert float(torch.cat(distances).min(1).values.square().sum()) <= 1.02 * reference.inertia_
    made = hub.pipeline(**where, with_ulm=False, with_speech=False)
    units = [made.units(*audio.load(file)).framewise() for file in audio.find(speech)]
    assert all(torch.equal(u, d.argmin(1)) for u, d in zip(units, distances, strict=True))


def test_given_codes_are_taken_and_lambda_is_fitted_to_them(speech: Path, tmp_path: Path) -> None:
    frames = dp_slm.wavlm(zoo="tiny")[0].features(*audio.load(audio.find(speech)[0]))
    codes = frames[torch.linspace(0, len(frames) - 1, 6).long()]
    np.save(tmp_path / "codes.npy", codes.numpy())
    given = {"codes": tmp_path / "codes.npy", "layer": 0, "k": (6,), "rate": 20.0, "num_neighbors": 6}
    (point,) = train(settings(tmp_path / "run", speech, **given))
    where = {"zoo": "mine", "registry": tmp_path / "run" / "zoo.json"}
    assert torch.equal(dp_slm.load_codebook(k=6, **where).codes, codes)
    made = hub.pipeline(**where, lmbda=point.lmbda, with_ulm=False, with_speech=False)
    units = [made.units(*audio.load(file)) for file in audio.find(speech)]
    assert sum(map(len, units)) / sum(u.seconds for u in units) == pytest.approx(20, rel=0.1)


def test_codes_of_another_size_or_kind_are_refused(speech: Path, tmp_path: Path) -> None:
    wrong = {
        r"`codes` must be finite numbers, \(k, 64\) as": np.zeros((6, 63), np.float32),
        r"`codes` must be finite numbers, \(k, 64\)": np.zeros((6, 64), np.int64),
        r"`codes` must be finite numbers, ": np.full((6, 64), np.nan, np.float32),
        r"`k` must be 5, the number of codes in .*, but is '6'": np.zeros((5, 64), np.float32),
    }
    for message, codes in wrong.items():
        np.save(tmp_path / "codes.npy", codes)
        with pytest.raises(ValueError, match=message):
            train(settings(tmp_path / "run", speech, codes=tmp_path / "codes.npy", k=(6,)))
    with pytest.raises(ValueError, match="`codes` must be left out with speaker_directions"):
        settings(tmp_path / "run", speech, codes=tmp_path / "codes.npy", speaker_directions=1)
    assert not (tmp_path / "run").exists()


def test_the_drawn_share_of_each_file_and_no_more_is_on_disk(speech: Path, tmp_path: Path) -> None:
    encoder, files = dp_slm.wavlm(zoo="tiny")[0], audio.find(speech)
    run = Run.open(settings(tmp_path / "run", speech))
    features = feature_samples.encoder_features(encoder, 2)
    blocks, counts = drawn_frames(features, files, run, share=0.25, batch=3, seed=0, block_values=1)
    assert len(blocks) == 3
    all_of = [encoder.features(*audio.load(file), layer=2) for file in files]
    assert counts == [round(0.25 * len(x)) for x in all_of]
    assert sum(map(len, blocks)) == sum(counts)
    assert all(isinstance(block, np.memmap) for block in blocks)
    drawn = torch.from_numpy(np.concatenate(blocks)).double()
    nearest = torch.cdist(drawn, torch.cat(all_of).double()).min(1)
    assert float(nearest.values.max()) < 1e-2
    assert len(nearest.indices.unique()) == len(nearest.indices)


def test_what_was_computed_is_not_computed_again(speech: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(codebook, "drawn_frames", partial(drawn_frames, block_values=1))
    whole = train(settings(tmp_path / "whole", speech))
    computed, load = [], audio.load

    def stop(file: Path) -> tuple[torch.Tensor, int]:
        if len(computed) == 5:
            raise KeyboardInterrupt
        computed.append(file)
        return load(file)

    stopped = settings(tmp_path / "stopped", speech, resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(audio, "load", stop)
        with pytest.raises(KeyboardInterrupt):
            train(stopped)
    monkeypatch.setattr(audio, "load", lambda file: (computed.append(file), load(file))[1])
    assert train(stopped) == whole
    assert [int(file.stem) for file in computed] == [0, 1, 2, 3, 4, 3, 4, 5, 6]
    for name in ("codebook-k4.safetensors", "codebook-k9.safetensors"):
        states = [read(tmp_path / run / name, "codebook", dict).state["codebook"] for run in ("whole", "stopped")]
        assert torch.equal(*states)
    with pytest.raises(FileExistsError, match="--resume"):
        train(replace(stopped, resume=False))
    with pytest.raises(ValueError, match=r"`audio` must be the files of .*--overwrite"):
        train(replace(stopped, audio=[str(speech / "0.wav")]))


def test_the_command_writes_a_line_for_each_k(speech: Path, tmp_path: Path, capsys) -> None:
    config = tmp_path / "options.yaml"
    config.write_text(f"audio: [{speech}]\nencoder_zoo: tiny\nlayer: 2\nk: [3, 5]\nlmbda: [7, 8.5]\nshare: 0.5\n")
    assert main(["train", "codebook", "--config", str(config), "--run", str(tmp_path / "run"), "--k", "3", "6"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["k"], line["lmbda"], line["num_neighbors"]) for line in lines] == [(3, 7, 1), (6, 8.5, 1)]
    config.write_text("audio: [x]\nlayers: 2\n")
    with pytest.raises(SystemExit):
        main(["train", "codebook", "--config", str(config), "--run", str(tmp_path / "other")])
    assert "--layers" in capsys.readouterr().err


def test_what_cannot_be_used_is_refused_before_anything_is_made(speech: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    wrong = {
        "holds no audio": {"audio": [str(tmp_path / "empty")]},
        "`zoo` must be one of": {"encoder_zoo": "elsewhere"},
        "`layer` must be from 1 to": {"layer": 99},
        r"`layer` must be from 1 to the encoder's 4 blocks, or 0 for its output, but is -1": {"layer": -1},
        "`k` must be": {"k": (4, 4)},
        "`frame_fraction` must be": {"frame_fraction": 0.0},
        "`trials` must be": {"trials": 0},
        "`lmbda` must be": {"lmbda": (3.0,)},
        "`num_neighbors` must be": {"num_neighbors": 5},
        "finite number > 0": {"rate": -1.0},
        "sentences >= 0": {"aligned_sentences": -1},
        "`aligned_sentences` must be 0 without speaker_directions": {"aligned_sentences": 1},
        "`aligned_sentences` must be 0 for a single voice, but is 1": {"speaker_directions": 1, "aligned_sentences": 1},
        "`speaker_directions` must be from 0 to 0 for 1 voices": {"speaker_directions": 1},
        "`num_neighbors` must be left out without lmbda or rate": {"num_neighbors": 2},
        "but is -1": {"speaker_directions": -1},
    }
    for message, change in wrong.items():
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            train(settings(tmp_path / "run", speech, **change))
        assert not (tmp_path / "run").exists(), message


def test_bad_recordings_and_too_many_codes_are_named(speech: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"`k` must be .* number of vectors, here \d+, .* --frame-fraction 0.5 draws from 7 files"
    ):
        train(settings(tmp_path / "run", speech, k=(100_000,)))
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(ValueError, match=r"text\.wav is not audio"):
        train(settings(tmp_path / "other", speech, audio=[str(tmp_path / "text.wav")]))


def test_a_zoo_has_one_encoder(speech: Path, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.json"
    train(settings(tmp_path / "run", speech, k=(K,), registry=zoo))
    train(settings(tmp_path / "again", speech, k=(3,), registry=zoo, encoder_zoo="mine"))
    assert sorted(row.kind for row in table.rows("mine", registry=zoo)) == ["codebook", "codebook", "wavlm"]
    with pytest.raises(ValueError, match="has the wavlm tiny, not wavlm_demo"):
        train(settings(tmp_path / "third", speech, registry=zoo, encoder_zoo="demo"))


def test_codes_have_nothing_in_the_directions_in_which_two_voices_say_the_same(speech: Path, tmp_path: Path) -> None:
    for voice in "ab":
        (tmp_path / "speech" / voice).mkdir(parents=True)
    for file in audio.find(speech):
        wav, sr = audio.load(file)
        for voice, sound in (("a", wav), ("b", wav.cumsum(1) * 0.05)):
            audio.write(tmp_path / "speech" / voice / f"{file.stem}.wav", sound, sr)
    asked = {"frame_fraction": 1.0, "speaker_directions": 3, "k": (4,)}
    with pytest.raises(
        ValueError, match="`aligned_sentences` must be at most 7, the sentences that all voices speak, but is 8"
    ):
        train(settings(tmp_path / "many", tmp_path / "speech", **asked, aligned_sentences=8))
    train(settings(tmp_path / "run", tmp_path / "speech", **asked, aligned_sentences=7))
    codes = dp_slm.load_codebook(k=4, zoo="mine", registry=tmp_path / "run" / "zoo.json").codes.double()
    encoder, voices = dp_slm.wavlm(zoo="tiny")[0], [audio.find(tmp_path / "speech" / voice) for voice in "ab"]
    spoken = [[encoder.features(*audio.load(file), layer=2) for file in files] for files in voices]
    frames = [x.numpy() for voice in spoken for x in voice]
    free = torch.cat(list(SpeakerProjected.of_sentences(frames, list(zip(*spoken, strict=True)), 3))).double()
    gone = torch.from_numpy(np.concatenate(frames)).double() - free
    axes = torch.linalg.svd(gone - gone.mean(0)).Vh[:3]
    along = (codes - free.mean(0)) @ axes.T
    assert float(along.abs().max()) < 1e-2 * float(codes.std())


def test_codes_of_two_voices_have_nothing_in_the_direction_from_one_to_the_other(speech: Path, tmp_path: Path) -> None:
    for i, file in enumerate(audio.find(speech)):
        place = tmp_path / "speech" / ("a", "b")[i % 2] / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    train(settings(tmp_path / "run", tmp_path / "speech", frame_fraction=1.0, speaker_directions=1))
    encoder = dp_slm.wavlm(zoo="tiny")[0]
    means = [
        torch.cat([encoder.features(*audio.load(file), layer=2) for file in audio.find(tmp_path / "speech" / voice)])
        .double()
        .mean(0)
        for voice in ("a", "b")
    ]
    codes = dp_slm.load_codebook(k=9, zoo="mine", registry=tmp_path / "run" / "zoo.json").codes.double()
    along = (codes - (means[0] + means[1]) / 2) @ (means[1] - means[0])
    assert float(along.abs().max() / (means[1] - means[0]).square().sum()) < 1e-3


@pytest.mark.parametrize("file", ["frames/000000000-000000007.npy", "kmeans.pt", "codebook-k4.safetensors"])
def test_a_full_disk_is_a_clear_error_and_what_is_there_stays(speech: Path, tmp_path: Path, monkeypatch, file) -> None:
    monkeypatch.setattr(kmeans, "fit_many", partial(kmeans.fit_many, sample=20))
    chosen, replace_file = settings(tmp_path / "run", speech, resume=True), Path.replace

    def full(part: Path, target: Path) -> Path:
        if target == chosen.run / file:
            raise OSError(28, "No space left on device", str(target))
        return replace_file(part, target)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left on device"):
        patch.setattr(Path, "replace", full)
        train(chosen)
    assert not (chosen.run / file).exists()
    assert not list(chosen.run.rglob("*.part"))
    assert [point.k for point in train(chosen)] == [4, 9]
