from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slmcore import audio
from slmcore.files.registry import rows, system_of
from slmzoo import cli, hub
from slmzoo.training.data.transcribed import TranscribedCodes, fitting, read_manifest
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks import uslm
from slmzoo.training.tasks.uslm import UslmSettings, UslmTask, ar_nats, nar_nats
from speechtokenizer.uslm import load
from tests.reference import goldens
from tests.reference.codec_files import soundstream_file
from tests.reference.uslm import tiny, zoo
from tests.speechtokenizer.uslm.test_goldens import published_file

SMALL = {"dim": 16, "heads": 2, "layers": 1, "text_size": 20, "dropout": 0.0}
SAID = ("a b", "b a c", "c c a", "a", "b c")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five recordings of half a second with phones, two of them held out, and a zoo "mine" with a codec."""
    root = tmp_path_factory.mktemp("data")
    zoo(root, tiny())
    wav, sr = goldens.speech()
    for i in range(len(SAID)):
        audio.write(root / f"{i}.wav", wav[:, i * 8000 : (i + 1) * 8000], sr)
    for name, of in (("train", (0, 1, 2)), ("dev", (3, 4))):
        (root / f"{name}.tsv").write_text("".join(f"{i}.wav\t{SAID[i]}\n" for i in of), encoding="utf-8")
    return root


def settings(data: Path, run: Path, **more: object) -> UslmSettings:
    where = {"train": data / "train.tsv", "validation": data / "dev.tsv", "run": run, "phones": True}
    usual = {"steps": 6, "batch": 2, "accumulate": 1, "lr": 1e-2, "warmup": 1, "device": "cpu", "zoo": "lab"}
    lengths = {"shortest": 0.0, "log_every": 1, "validate_every": 3, "save_every": 3, "codec": "mine"}
    return UslmSettings(**{**where, **usual, **lengths, **SMALL, **more})  # pyright: ignore[reportArgumentType]


@pytest.fixture(autouse=True)
def known(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMZOO_REGISTRY", str(data / "zoo.json"))


def test_the_defaults_are_the_published_ones():
    found = UslmSettings(run=Path("r"), train=Path(), validation=Path())
    assert (found.lr, found.warmup, found.steps, found.batch * found.accumulate) == (5e-4, 32_000, 800_000, 256)
    assert (found.shortest, found.longest, found.part) == (3.0, 14.0, "both")
    config = found.sizes(8, 1024)
    assert (config.dim, config.heads, config.layers, config.nar_dim, config.nar_layers) == (1024, 16, 12, 1024, 12)
    assert (config.text_size, config.dropout, config.prefix_mode) == (512, 0.1, 0)
    assert config.share_embedding
    assert config.norm_first


@torch.no_grad()
def test_losses_count_every_code_and_end_once():
    model = tiny().double()
    texts = [torch.tensor([1, 5, 2]), torch.tensor([1, 7, 8, 2])]
    codes = [torch.randint(64, (4, n), generator=torch.Generator().manual_seed(n)) for n in (5, 3)]
    nats, count = ar_nats(model, texts, codes)
    assert count == 8
    wanted = 0.0
    for text, each in zip(texts, codes, strict=True):
        odds = model([text], [each], 0)[0].double().log_softmax(-1)
        wanted -= sum(float(odds[t, c]) for t, c in enumerate([*each[0, 1:].tolist(), 64]))
    assert float(nats) == pytest.approx(wanted, rel=1e-5)
    for level in (1, 3):
        nats, count = nar_nats(model, texts, codes, level)
        assert count == 8
        wanted = sum(
            -float(model([text], [each], level)[0][t].log_softmax(-1)[each[level, t]])
            for text, each in zip(texts, codes, strict=True)
            for t in range(each.shape[1])
        )
        assert float(nats) == pytest.approx(wanted, rel=1e-5)
    with_start = tiny(prepend_bos=True)
    assert ar_nats(with_start, texts, codes)[1] == 10


@pytest.mark.golden
def test_losses_of_later_levels_are_the_goldens(tmp_path):
    about, arrays = goldens.load("uslm_small")
    model = load(published_file(tmp_path / "USLM.pt", None, False), heads=4)
    names = ("text", "text_lens", "codes", "codes_lens")
    text, of_text, codes, of_codes = (torch.from_numpy(arrays[f"train/{name}"]).long() for name in names)
    texts = [row[:n] for row, n in zip(text, of_text.tolist(), strict=True)]
    levels = [row[:n].T for row, n in zip(codes, of_codes.tolist(), strict=True)]
    with torch.no_grad():
        found = [float(nar_nats(model, texts, levels, level)[0]) for level in range(1, 8)]
    for level in range(3, 9):
        # Upstream's batch has level 2 and a later one, counted from 1.
        assert found[0] + found[level - 2] == pytest.approx(about["values"][f"train/nar_loss_2_and_{level}"], rel=1e-5)


def task(data: Path, tmp_path: Path, **more: object) -> UslmTask:
    np.save(tmp_path / "codes.npy", np.arange(40, dtype=np.int16).reshape(4, 10))
    each = TranscribedCodes(torch.tensor([1, 5, 2]), tmp_path / "codes.npy", 10)
    return UslmTask(tiny(), [each], [each], settings(data, tmp_path / "run", **more))


def test_each_decoder_is_trained_by_its_own_loss(data, tmp_path):
    made = task(data, tmp_path)
    batch = made.batch(generator(0, 0))
    for part, other in (("ar", "nar"), ("nar", "ar")):
        made.zero_grad(set_to_none=True)
        made.loss(part, batch, StepContext(0, generator(0, 0)))[0].backward()
        assert all(p.grad is None for p in getattr(made.model, other).parameters()), part
        assert sum(p.grad is not None for p in getattr(made.model, part).parameters()) > 10
    assert [list(task(data, tmp_path, part=part).parts()) for part in ("both", "ar", "nar")] == [
        ["ar", "nar"],
        ["ar"],
        ["nar"],
    ]


def test_level_two_is_always_trained_and_the_others_equally_often(data, tmp_path):
    made = task(data, tmp_path)
    drawn = [made._levels(generator(0, step)) for step in range(300)]
    assert {levels[0] for levels in drawn} == {1}
    counts = [sum(levels[1] == level for levels in drawn) for level in (2, 3)]
    assert sum(counts) == 300
    assert min(counts) > 120


def test_a_miniature_learns_and_resumes_exactly(data, tmp_path, monkeypatch):
    whole, parts = settings(data, tmp_path / "whole", steps=30), settings(data, tmp_path / "parts", steps=30)
    uslm.train(whole)
    losses = Run(whole.run).train.columns()
    for part, fall in (("ar", 1.5), ("nar", 1.0)):
        values = losses[f"loss_{part}"][1]
        assert values[0] == pytest.approx(np.log(64), abs=0.6)
        assert np.mean(values[-3:]) < values[0] - fall
    of_all = UslmTask.loss

    def until_step_7(self: UslmTask, part: str, batch: Any, context: StepContext) -> Any:
        if context.step == 7:
            raise KeyboardInterrupt
        return of_all(self, part, batch, context)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(UslmTask, "loss", until_step_7)
        uslm.train(parts)
    assert torch.load(parts.run / "last.ckpt", weights_only=True)["step"] == 6
    uslm.train(replace(parts, resume=True))
    one, other = (torch.load(run / "last.ckpt", weights_only=True)["task"] for run in (whole.run, parts.run))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert Run(parts.run).train.columns()["loss_nar"] == losses["loss_nar"]


def test_the_registry_has_the_model_and_its_codec_and_speaks(data, tmp_path, capsys):
    run = tmp_path / "run"
    given = {
        **SMALL,
        "steps": 2,
        "batch": 1,
        "accumulate": 1,
        "warmup": 1,
        "shortest": 0,
        "zoo": "lab",
        "codec": "mine",
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    manifests = ["--train", str(data / "train.tsv"), "--validation", str(data / "dev.tsv"), "--run", str(run)]
    assert cli.main(["train", "uslm", *manifests, *options, "--phones", "--device", "cpu", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["zoo"], result["kind"], result["step"]) == ("lab", "uslm", 2)
    assert result["loss"] == pytest.approx(result["ar"] + result["nar"], rel=1e-4)
    registry = run / "zoo.json"
    assert system_of("lab", registry) == "speechtokenizer"
    assert {(row.kind, row.variant, row.frame_rate) for row in rows("lab", None, registry)} == {
        ("speechtokenizer", "elu", None),
        ("uslm", "elu", 50.0),
    }
    tts: Any = hub.text_to_speech(zoo="lab", registry=registry)
    assert tts.tokenizer.to_dict() == {"symbols": ["a", "b", "c"], "language": "en-us"}
    assert (tts.uslm.config.num_codebooks, tts.uslm.config.codebook_size) == (4, 64)


def test_a_codec_of_another_system_speaks_too(data, tmp_path, monkeypatch):
    soundstream_file(tmp_path / "soundstream.pt", *goldens.load("soundstream_small"), flat=True)
    rows_of = [{"kind": "soundstream", "file": "soundstream.pt", "sample_rate": 3000}]
    about = {"format": "slmzoo-registry", "version": 1, "zoo": "other", "system": "soundstream", "rows": rows_of}
    (tmp_path / "other.json").write_text(json.dumps(about))
    monkeypatch.setenv("SLMZOO_REGISTRY", str(tmp_path / "other.json"))
    uslm.train(settings(data, tmp_path / "run", codec="other", steps=1))
    registry = tmp_path / "run" / "zoo.json"
    assert system_of("lab", registry) == "soundstream"
    tts: Any = hub.text_to_speech(zoo="lab", registry=registry)
    assert (tts.codec.num_codes, tts.uslm.config.codebook_size, tts.sample_rate) == (1024, 1024, 3000)


@pytest.mark.parametrize("change", [{"codec_variant": "elu"}, {"part": "ar"}, {"phones": False}, {"language": "de"}])
def test_options_that_codes_and_phones_were_made_with_stay(data, tmp_path, change):
    chosen = settings(data, tmp_path / "run", steps=1)
    uslm.train(chosen)
    with pytest.raises(ValueError, match=f"`{next(iter(change))}` must be .*, with which .*run began"):
        uslm.train(replace(chosen, resume=True, steps=2, **change))


def test_one_decoder_after_the_other(data, tmp_path):
    uslm.train(settings(data, tmp_path / "ar", part="ar", steps=2))
    begun = load(tmp_path / "ar" / "uslm-elu.safetensors")
    file = str(tmp_path / "ar" / "uslm-elu.safetensors")
    found = uslm.train(settings(data, tmp_path / "nar", part="nar", steps=2, init=file))
    assert "ar" not in found
    ended = load(tmp_path / "nar" / "uslm-elu.safetensors").state_dict()
    same = {name: torch.equal(value, ended[name]) for name, value in begun.state_dict().items()}
    assert all(equal for name, equal in same.items() if name.startswith("ar."))
    assert not any(equal for name, equal in same.items() if name.startswith("nar.stack") and "weight" in name)
    with pytest.raises(ValueError, match=r"`init` must be a model with \{'dim': 24"):
        uslm.train(settings(data, tmp_path / "other", dim=24, init=file))


def test_codecs_that_cannot_be_spoken_with_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="two or more codebooks, but is 'demo, of 1'"):
        uslm.train(settings(data, tmp_path / "run", codec="demo"))
    (tmp_path / "zoo.json").write_text(
        json.dumps({"format": "slmzoo-registry", "version": 1, "zoo": "lab", "rows": []}), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"of the system speechtokenizer, but is .*of dp-slm"):
        uslm.train(settings(data, tmp_path / "run", registry=tmp_path / "zoo.json"))


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ("", ValueError, "at least one utterance"),
        ("0.wav\ta\n\n1.wav\n", ValueError, "line 3,` must be an audio file, a tab, and its text, but is '1.wav'"),
        ("0.wav\ta\n1.wav\t  \n", ValueError, "line 2,"),
        ("\ta\n", ValueError, "line 1,"),
        ("0.wav\ta\n0.wav\tb\n", ValueError, "line 2,` must be another file than those before"),
        ("9.wav\ta\n", FileNotFoundError, "line 1, names .*9.wav, which is not there"),
    ],
)
def test_wrong_manifests_are_named(data, lines, error, message):
    (data / "wrong.tsv").write_text(lines, encoding="utf-8")
    with pytest.raises(error, match=message):
        read_manifest(data / "wrong.tsv")
    with pytest.raises(FileNotFoundError, match="No manifest at"):
        read_manifest(data / "none.tsv")


def test_manifests_are_relative_to_their_folder(data, tmp_path):
    (tmp_path / "own.tsv").write_text(f"\ufeff{data}/1.wav\tb a\n", encoding="utf-8")
    (found,) = read_manifest(tmp_path / "own.tsv")
    assert (found.file, found.text) == (data / "1.wav", "b a")
    assert read_manifest(data / "train.tsv")[1].file == data / "1.wav"


def test_utterances_of_other_lengths_are_left_out(data, caplog):
    some = read_manifest(data / "train.tsv")
    assert fitting(some, 0.5, 0.5) == some
    with pytest.raises(ValueError, match=r"of 0.51 to 2 s, at least one, but is a manifest with 0.50 to 0.50 s"):
        fitting(some, 0.51, 2.0)
    wav, sr = goldens.speech()
    audio.write(data / "long.wav", wav[:, :9000], sr)
    (data / "mixed.tsv").write_text("0.wav\ta\nlong.wav\ta\n", encoding="utf-8")
    assert [each.file.name for each in fitting(read_manifest(data / "mixed.tsv"), 0.0, 0.5)] == ["0.wav"]
    assert "1 utterances are left out" in caplog.text


def test_phones_of_held_out_texts_must_be_known(data, tmp_path):
    (data / "strange.tsv").write_text("3.wav\ta z\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"3.wav: `tokens` must be symbols of the table, but is 'z'"):
        uslm.train(settings(data, tmp_path / "run", validation=data / "strange.tsv"))


def test_a_recording_shorter_than_a_frame_is_named(data, tmp_path):
    audio.write(data / "short.wav", goldens.speech()[0][:, :319], 16000)
    (data / "short.tsv").write_text("short.wav\ta\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"short.wav` must be at least 320 samples"):
        uslm.train(settings(data, tmp_path / "run", train=data / "short.tsv"))


def test_codes_of_another_codec_are_refused(data, tmp_path):
    made = task(data, tmp_path)
    for wrong, message in (
        (np.zeros((3, 4), np.int16), "of 4 levels in .*codes.npy, but is"),
        (np.zeros((5, 4), np.int16), "of 4 levels"),
        (np.full((4, 2), 64, np.int16), "from 0 to 63 in"),
        (np.full((4, 2), -1, np.int16), "from 0 to 63 in"),
    ):
        np.save(tmp_path / "codes.npy", wrong)
        with pytest.raises(ValueError, match=message):
            made.batch(generator(0, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shortest": 15.0}, "from 0 to `longest`"),
        ({"shortest": -1.0}, "from 0 to `longest`"),
        ({"dropout": 1.0}, "dropout"),
        ({"heads": 3}, "`dim` must be even and a multiple of heads"),
        ({"text_size": 5}, "at most 5 ids"),
    ],
)
def test_impossible_settings_are_refused(data, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        uslm.train(settings(data, tmp_path / "run", **change))
