from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mistral_ulm import UnitLM
from slmcore.errors import CheckpointError
from slmcore.layers.transformer import TransformerConfig
from slmzoo import cli
from slmzoo.systems import dp_slm
from slmzoo.training.data.unit_files import Spoken, UnitSource
from slmzoo.training.data.unit_ids import UnitIds
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks import ulm
from slmzoo.training.tasks.ulm import Chapters, UlmSettings, chunk_loss
from tests.reference.units_on_disk import K, write_files, write_shards

SMALL = {"dim": 16, "n_layers": 1, "head_dim": 8, "hidden_dim": 32, "n_heads": 2, "n_kv_heads": 1}


def options(folder: Path, **more: object) -> UlmSettings:
    usual = {"steps": 6, "batch": 3, "accumulate": 2, "lr": 1e-2, "warmup": 2, "chunk": 32, "device": "cpu"}
    where = {"run": folder / "run", "train": folder / "train", "validation": folder / "dev"}
    every = {"log_every": 1, "validate_every": 3, "save_every": 3}
    return UlmSettings(**{**where, "k": K, "lmbda": 4.0, **usual, **every, **SMALL, **more})  # pyright: ignore[reportArgumentType]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path / "train")
    write_files(tmp_path / "dev", chapters=1, seed=5)
    return tmp_path


def spoken(chapter: str, units: list[int]) -> Spoken:
    return Spoken("x", chapter, torch.tensor(units))


def test_the_defaults_are_the_published_ones():
    found = UlmSettings(run=Path("r"), train=Path("t"), validation=Path("v"), k=500, lmbda=4500)
    assert (found.chunk, found.batch, found.accumulate, found.steps, found.warmup) == (1024, 12, 8, 10_000, 2000)
    assert (found.first_lr, found.lr, found.last_lr, found.betas, found.eps) == (1e-7, 5e-4, 1e-5, (0.9, 0.999), 1e-8)
    assert (found.weight_decay, found.clip) == (0.05, 1.0)
    published = {"dim": 1024, "n_layers": 12, "head_dim": 64, "hidden_dim": 4096, "n_heads": 16, "n_kv_heads": 16}
    assert found.transformer(501, False) == TransformerConfig(**published, dropout=0.15, vocab_size=501)


def test_a_chunk_runs_over_the_utterances_of_its_chapter_and_every_place_is_as_likely():
    utterances = [spoken("a", [1, 1, 2]), spoken("a", [3]), spoken("b", [4, 5, 6, 7])]
    chapters = Chapters(utterances, UnitIds(K), 3)
    # a: BOS 2 3 BOS 4 BOS, b: BOS 5 6 7 8 BOS
    a, b = [0, 2, 3, 0, 4, 0], [0, 5, 6, 7, 8, 0]
    possible = [tuple(x[i : i + 4]) for x in (a, b) for i in range(3)]
    drawn = [tuple(row) for row in chapters.draw(3000, generator(0, 0)).tolist()]
    assert set(drawn) == set(possible)
    shares = [drawn.count(chunk) / len(drawn) for chunk in possible]
    assert min(shares) > 1 / 6 - 0.04
    assert len(chapters) == 12


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=6), st.integers(2, 12))
def test_no_id_is_lost_or_padded_whatever_the_lengths(lengths, length):
    utterances = [spoken(str(c), [(c + i) % K for i in range(n)]) for c, sizes in enumerate(lengths) for n in sizes]
    plain = [torch.cat([torch.tensor([0]), s.units + 1]) for s in utterances]
    total = sum(map(len, plain))
    if total < length:
        with pytest.raises(ValueError, match="`chunk` must be below the number of all ids"):
            Chapters(utterances, UnitIds(K), length)
        return
    chapters = Chapters(utterances, UnitIds(K), length)
    # What is kept is all utterances in order; a closing BOS comes where a group of chapters ends.
    ids = chapters._ids.tolist()
    groups = len(ids) - total
    assert 1 <= groups <= len(lengths)
    kept = [i for i, following in zip(ids, [*ids[1:], 0], strict=True) if not (i == 0 and following == 0)]
    assert kept == torch.cat(plain).tolist()
    drawn = chapters.draw(50, generator(0, 0))
    assert drawn.shape == (50, length + 1)
    text = ",".join(map(str, ids))
    assert all(",".join(map(str, row)) in text for row in drawn.tolist())


def test_the_first_target_is_left_out_of_the_loss():
    torch.manual_seed(0)
    model = UnitLM(TransformerConfig(**SMALL, vocab_size=K + 1)).eval()
    chunks = torch.randint(K + 1, (2, 9))
    logprobs = model.transformer(chunks[:, :-1]).log_softmax(-1)
    picked = logprobs.gather(-1, chunks[:, 1:, None])[:, 1:]
    torch.testing.assert_close(chunk_loss(model, chunks), -picked.mean())


def test_a_run_ends_in_a_model_that_is_found_and_does_what_was_measured(folder):
    reached = ulm.train(options(folder, steps=60, zoo="lab", registry=folder / "zoo.json", num_neighbors=2))
    assert reached["bits_per_unit"] < 2.5 < math.log2(K)
    model, tokenizer = dp_slm.ulm(k=K, lmbda=4, zoo="lab", registry=folder / "zoo.json")
    held_out = list(UnitSource(folder / "dev").read(K))
    scores = [model.loglikelihood(tokenizer.encode(s.units)) for s in held_out]
    bits = -sum(scores) / math.log(2)
    assert reached["bits_per_unit"] == pytest.approx(bits / sum(len(s.units) for s in held_out), rel=1e-5)
    seconds = sum(len(s.framewise) for s in held_out) / 50
    assert reached["bits_per_second"] == pytest.approx(bits / seconds, rel=1e-5)
    assert reached["loss"] == pytest.approx(reached["bits_per_unit"] * math.log(2), rel=1e-6)


def test_shards_train_as_files_do_and_say_their_own_point(folder):
    write_files(folder / "dev2", chapters=2, seed=5)
    files = ulm.train(options(folder, validation=folder / "dev2", frame_rate=25.0))
    train, held_out = write_shards(folder / "shards"), write_shards(folder / "more", chapters=2, seed=5)
    own = options(folder, run=folder / "other", train=train, validation=held_out, k=None, lmbda=None)
    assert ulm.train(own) == files


def test_units_without_repeats_have_no_rate(folder):
    for file in (folder / "dev").rglob("*.npy"):
        units = np.load(file)
        np.save(file, units[np.flatnonzero(np.diff(units, prepend=-1))])
    assert "bits_per_second" not in ulm.train(options(folder))


def test_a_stopped_run_goes_on_bit_for_bit(folder, monkeypatch):
    whole = options(folder, dropout=0.2)
    ulm.train(whole)
    stopped = replace(whole, run=folder / "stopped")
    calls, loss = [], ulm.chunk_loss

    def dies(model, chunks):
        calls.append(1)
        if len(calls) == 10:  # the second batch of the fifth step
            raise KeyError("killed")
        return loss(model, chunks)

    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr(ulm, "chunk_loss", dies)
        ulm.train(stopped)
    ulm.train(replace(stopped, resume=True))
    curves = []
    for run in (whole.run, stopped.run):
        with (run / "train.csv").open() as file:
            curves.append([(row["step"], row["loss"], row["lr"]) for row in csv.DictReader(file)])
    assert curves[0] == curves[1]
    assert (whole.run / "validation.csv").read_text() == (stopped.run / "validation.csv").read_text()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"lmbda": 5.0}, r"\{'lmbda': 4.0\}, not \{'lmbda': 5.0\}"),
        ({"num_neighbors": 3}, "'num_neighbors': None"),
        ({"frame_rate": 25.0}, "'frame_rate': 50.0"),
        ({"n_heads": 4, "head_dim": 4, "n_kv_heads": 2}, "'head_dim': 8, 'n_heads': 2, 'n_kv_heads': 1"),
    ],
)
def test_weights_are_not_taken_for_those_of_other_units_or_heads(folder, more, message):
    ulm.train(options(folder, steps=2))
    before = (folder / "run" / "config.yaml").read_bytes()
    with pytest.raises(CheckpointError, match=message):
        ulm.train(options(folder, resume=True, **more))
    assert (folder / "run" / "config.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"k": 5}, ValueError, r"must be in 0\.\.4"),
        ({"k": None}, ValueError, "`k` must be given"),
        ({"lmbda": None}, ValueError, "`lmbda` must be given"),
        ({"chunk": 5000}, ValueError, "Use shorter chunks"),
        ({"train": Path("nowhere")}, FileNotFoundError, "No units at nowhere"),
        ({"n_heads": 3, "n_kv_heads": 2}, ValueError, "n_kv_heads"),
    ],
)
def test_what_cannot_be_trained_leaves_no_run(folder, more, error, message):
    with pytest.raises(error, match=message):
        ulm.train(options(folder, **more))
    assert not (folder / "run").exists()


@pytest.mark.parametrize("wrong", [{"chunk": 1}, {"init": "llama"}])
def test_wrong_options_are_refused(folder, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        options(folder, **wrong)


def test_the_command(folder, capsys, monkeypatch):
    small = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    words = ["train", "ulm", "--run", str(folder / "run"), "--train", str(folder / "train"), *small]
    words += ["--validation", str(folder / "dev"), "--steps", "2", "--batch", "2", "--chunk", "16", "--device", "cpu"]
    known = ["--k", str(K), "--lmbda", "4"]
    assert cli.main([*words, *known]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "ulm"
    for arguments, status, message in (
        ([*words, *known], 1, "--resume to continue it, or --overwrite"),
        ([*words, "--k", "3", "--lmbda", "4", "--overwrite"], 2, "must be in 0..2"),
        ([*words, *known, "--lr", "-1"], 2, "`lr` must be"),
        ([*words, *known, "--config", str(folder / "none.yaml")], 1, "none.yaml"),
    ):
        assert cli.main(arguments) == status
        assert message in capsys.readouterr().err
    monkeypatch.setattr(ulm, "chunk_loss", lambda model, chunks: model.transformer(chunks).sum() * math.nan)
    assert cli.main([*words, *known, "--overwrite"]) == 1
    assert "not finite at step 0. There is no checkpoint yet." in capsys.readouterr().err
