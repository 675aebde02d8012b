from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ellav import EllaV, EllaVTokenizer
from slmcore import audio
from slmcore.errors import CheckpointError
from slmcore.layers.transformer import TransformerConfig
from slmzoo import cli
from slmzoo.systems import dp_slm
from slmzoo.training.data.aligned_codes import Utterance, encoded
from slmzoo.training.data.unit_files import UnitSource
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks import ellav
from slmzoo.training.tasks.ellav import EllavSettings, EllavTask, longest_seconds, masked_loss, with_scheduled_sampling
from tests.reference.units_on_disk import K, write_files, write_shards

SMALL = {"dim": 16, "n_layers": 1, "head_dim": 8, "hidden_dim": 32, "n_heads": 2, "n_kv_heads": 2}
CODES = 32


def options(folder: Path, **more: object) -> EllavSettings:
    usual = {"steps": 4, "batch": 2, "accumulate": 2, "lr": 1e-2, "warmup": 1, "device": "cpu", "workers": 0}
    where = {name: folder / name for name in ("run", "train", "validation", "train_speech", "validation_speech")}
    known = {"k": K, "lmbda": 4.0, "num_codes": CODES, "log_every": 1, "validate_every": 2, "save_every": 2}
    return EllavSettings(**{**where, **known, **usual, **SMALL, **more})  # pyright: ignore[reportArgumentType]


def write_codes(units: Path, folder: Path) -> None:
    """Forty codec tokens a second, each its unit and a bit of its own."""
    for file in units.rglob("*.npy"):
        framewise = np.load(file)
        at = (np.arange(round(len(framewise) / 50 * 40)) / 40 * 50).astype(int).clip(max=len(framewise) - 1)
        target = folder / file.relative_to(units)
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, (framewise[at] * 2 + np.arange(len(at)) % 2).astype(np.int16))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, sizes in (("train", {"seed": 1}), ("validation", {"chapters": 1, "seed": 5})):
        write_codes(write_files(tmp_path / name, **sizes), tmp_path / f"{name}_speech")
    return tmp_path


def test_the_defaults_are_the_published_ones():
    found = EllavSettings(run=Path("r"), train=Path(), validation=Path(), train_speech=Path(), validation_speech=Path())
    assert (found.batch, found.accumulate, found.steps, found.warmup, found.patience) == (8, 8, 10_000, 1000, 5)
    assert (found.first_lr, found.lr, found.last_lr, found.betas, found.eps) == (1e-7, 5e-4, 1e-5, (0.9, 0.999), 1e-9)
    assert (found.weight_decay, found.clip) == (0.01, 1.0)
    assert (found.tolerance, found.num_codes, found.code_rate, found.scheduled_sampling) == (0.1, 4096, 40, 0)
    assert found.transformer(9, True).dropout == 0
    assert found.transformer(9, True).output_bias


def tiny() -> EllaV:
    torch.manual_seed(0)
    tokenizer = EllaVTokenizer.for_units(K, CODES, 50, 40)
    return EllaV(TransformerConfig(**SMALL, vocab_size=tokenizer.vocab_size, output_bias=True), tokenizer).eval()


def test_batches_are_of_like_lengths_and_show_every_utterance_equally_often():
    draw, wide = torch.Generator().manual_seed(0), 2 * ellav._DRAWN_FROM
    frames = torch.randint(5, 400, (wide * 4 + 3,), generator=draw).tolist()
    utterances = [Utterance(str(n), torch.arange(n) % K, torch.zeros(n * 4 // 5, dtype=torch.int64)) for n in frames]
    task = EllavTask(tiny(), utterances, utterances[:1], options(Path()))
    task._collated = lambda chosen: chosen  # pyright: ignore[reportAttributeAccessIssue]
    batches = [[len(u.units) for u in task.batch(draw)] for _ in range(2000)]
    buckets = [sorted(frames)[start : start + wide] for start in range(0, len(frames), wide)]
    assert all(any(bucket[0] <= min(b) and max(b) <= bucket[-1] for bucket in buckets) for b in batches)
    shares = [np.mean([bucket[0] <= b[0] <= bucket[-1] for b in batches]) for bucket in buckets[:4]]
    assert shares == pytest.approx([wide / len(frames)] * 4, abs=0.05)
    assert sum(min(b) != max(b) for b in batches) > 1000


def test_the_length_that_batches_go_by_is_that_of_the_sequence():
    task = EllavTask(tiny(), [], [], options(Path()))
    utterance = Utterance("x", torch.tensor([0] * 10 + [3] * 5 + [0] * 5), torch.arange(16))
    assert task._collated([utterance])[0].shape[1] == ellav._length(utterance) + 2  # BOS and EOS


def test_only_what_is_not_given_at_inference_is_learnt():
    model = tiny()
    utterance = Utterance("x", torch.tensor([0] * 10 + [3] * 5), torch.arange(12))
    ids, mask = EllavTask(model, [utterance], [utterance], options(Path()))._collated([utterance])
    logprobs = model.transformer(ids[:, :-1]).log_softmax(-1)
    tokenizer, wanted, learnt = model.tokenizer, [], []
    for place, target in enumerate(ids[0, 1:].tolist()):
        if target in (2, 3) or target >= tokenizer.first_codec:  # EOP, EOS, codec tokens
            wanted.append(float(-logprobs[0, place, target].detach()))
            learnt.append(target)
    assert len(wanted) == 12 + 2 + 1
    assert tokenizer.token_to_id_dict["u0"] not in learnt  # the very first phone's name is left out too
    assert float(masked_loss(model, ids, mask).detach()) == pytest.approx(float(np.mean(wanted)), rel=1e-5)


def greedy_codes(model: EllaV, ids: list[int]) -> list[int]:
    """Each codec token as the model would choose it after the true ids, or as it is where that is none."""
    first, found = model.tokenizer.first_codec, list(ids)
    for place in range(1, len(ids)):
        likeliest = int(model.transformer(torch.tensor([ids[:place]]))[0, -1].argmax())
        if ids[place] >= first and likeliest >= first:
            found[place] = likeliest
    return found


def test_a_share_of_the_tokens_that_are_heard_is_the_models_own():
    model, draw = tiny(), torch.Generator().manual_seed(3)
    model.transformer.output.weight.data.mul_(20)  # so that it is not the bias that chooses
    utterance = Utterance("x", torch.arange(K).repeat_interleave(6), torch.arange(24) % CODES)
    ids = EllavTask(model, [utterance], [utterance], options(Path()))._collated([utterance, utterance])[0]
    own = torch.tensor([greedy_codes(model, row) for row in ids.tolist()])
    assert 0 < int((own != ids).sum()) <= 48
    assert torch.equal(with_scheduled_sampling(model, ids, 1.0, draw), own)
    assert torch.equal(with_scheduled_sampling(model, ids, 0.0, draw), ids)
    some = [with_scheduled_sampling(model, ids, 0.25, torch.Generator().manual_seed(n)) for n in range(40)]
    assert all(bool(((mixed == ids) | (mixed == own)).all()) for mixed in some)
    shares = [float((mixed != ids).sum() / (own != ids).sum()) for mixed in some]
    assert np.mean(shares) == pytest.approx(0.25, abs=0.05)


def test_what_is_learnt_stays_the_recordings_whatever_is_heard():
    model = tiny()
    utterance = Utterance("x", torch.tensor([0] * 10 + [3] * 5), torch.arange(12))
    task = EllavTask(model, [utterance], [utterance], options(Path(), scheduled_sampling=1.0))
    ids, mask = task._collated([utterance])
    sampled = with_scheduled_sampling(model, ids, 1.0, generator(0, 0))
    logits = model.transformer(sampled[:, :-1])[mask[:, 1:]]
    wanted = torch.nn.functional.cross_entropy(logits, ids[:, 1:][mask[:, 1:]]).detach()
    assert float(task.loss("model", (ids, mask), StepContext(0, generator(0, 0)))[0].detach()) == pytest.approx(
        float(wanted)
    )
    assert float(task.validate((ids, mask))["nats"].detach()) != pytest.approx(float(wanted * mask[:, 1:].sum()))


def test_padding_changes_nothing():
    model = tiny()
    long = Utterance("a", torch.arange(K).repeat_interleave(5), torch.arange(48) % CODES)
    short = Utterance("b", torch.tensor([1] * 5), torch.arange(4))
    task = EllavTask(model, [long, short], [long, short], options(Path()))
    alone = [task.validate(task._collated([u])) for u in (long, short)]
    together = task.validate(task._collated([long, short]))
    assert float(together["nats"].detach()) == pytest.approx(sum(float(a["nats"].detach()) for a in alone), rel=1e-5)
    assert int(together["targets"]) == sum(int(a["targets"]) for a in alone)


def test_items_are_drawn_for_their_step():
    utterances = [Utterance(str(i), torch.tensor([i] * 5), torch.arange(4)) for i in range(5)]
    task = EllavTask(tiny(), utterances, utterances, options(Path(), batch=3))
    first, again, other = (task.batch(generator(0, step))[0] for step in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    found = task.loss("model", (first, task.batch(generator(0, 0))[1]), StepContext(0, generator(0, 0, 1)))
    assert bool(torch.isfinite(found[0]))


def test_a_run_from_files_ends_in_a_model_that_speaks(folder):
    reached = ellav.train(options(folder, steps=60, patience=None, zoo="lab"))
    with (folder / "run" / "validation.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert reached["loss"] == min(losses) < 0.6 * losses[0]
    model = dp_slm.ellav(k=K, lmbda=4, zoo="lab", registry=folder / "run" / "zoo.json")
    assert (model.tokenizer.num_codec_types, model.tokenizer.codec_token_rate) == (CODES, 40)
    longest = max(len(np.load(file)) for file in (folder / "train").rglob("*.npy")) / 50
    assert model.longest_seconds == max(1.0, longest)
    codes, _ = model.generate([["u1", "u2", "u4"]], max_tokens=60, max_codec_tokens_per_phone=5, top_p=0.0)
    assert len(codes[0]) > 0


def test_the_longest_segment_leaves_out_the_longest_utterance_of_a_hundred():
    def of_seconds(*seconds: float) -> list[Utterance]:
        return [Utterance("x", torch.zeros(round(50 * s), dtype=torch.int64), torch.zeros(1)) for s in seconds]

    assert longest_seconds(of_seconds(*[3.0] * 98, 4.0, 60.0), 50.0) == 4.0
    assert longest_seconds(of_seconds(*[3.0] * 97, 4.0, 60.0), 50.0) == 60.0  # of 99 none is left out
    assert longest_seconds(of_seconds(3.0, 4.5), 50.0) == 4.5
    assert longest_seconds(of_seconds(0.3), 50.0) == 1.0


def test_shards_and_their_files_train_alike(folder):
    own = options(folder, run=folder / "other", k=None, lmbda=None, frame_rate=None)
    shards = {
        "train": write_shards(folder / "st", seed=1, rate=50.0),
        "validation": write_shards(folder / "sv", chapters=2, seed=5, rate=50.0),
    }
    write_files(folder / "validation", chapters=2, seed=5)
    write_codes(folder / "validation", folder / "validation_speech")
    assert ellav.train(replace(own, **shards)) == ellav.train(options(folder))


def test_half_an_epoch_lies_between_validations_and_patience_ends_the_run(folder, monkeypatch):
    monkeypatch.setattr(EllavTask, "figures", lambda self, sums: {"loss": 1.0})
    ellav.train(options(folder, steps=50, batch=1, accumulate=2, validate_every=None, patience=2))
    with (folder / "run" / "validation.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["3", "6", "9"]  # 12 utterances, 2 a step


def speech(folder: Path, units: Path) -> None:
    """A tone for each file of units, as long as they are."""
    for file in units.rglob("*.npy"):
        target = (folder / file.relative_to(units)).with_suffix(".wav")
        target.parent.mkdir(parents=True, exist_ok=True)
        time = torch.arange(len(np.load(file)) * 320) / 16000
        audio.write(target, 0.3 * torch.sin(2 * torch.pi * 200 * time)[None], 16000)


def test_audio_is_encoded_once_and_kept(folder, monkeypatch):
    for name in ("train", "validation"):
        speech(folder / f"{name}_audio", folder / name)
    folders = {f"{name}_speech": folder / f"{name}_audio" for name in ("train", "validation")}
    ellav.train(options(folder, codec="demo", **folders))
    kept = folder / "run" / "codes"
    codec = dp_slm.codec(zoo="demo")
    name = "speaker/c1/u2"
    wav = audio.load(folder / "train_audio" / f"{name}.wav")
    assert np.load(kept / "train" / f"{name}.npy").tolist() == codec.encode(*wav).flatten().tolist()
    files = {name: folder / "nowhere.wav"}  # what is kept is not read from audio again
    assert encoded(files, codec, kept / "train") == {name: kept / "train" / f"{name}.npy"}
    again = {"num_codes": codec.num_codes, "code_rate": codec.frame_rate, "run": folder / "again"}
    ellav.train(options(folder, **again, train_speech=kept / "train", validation_speech=kept / "validation"))
    one, other = ((folder / run / "validation.csv").read_text() for run in ("run", "again"))
    assert one == other


def spoil(folder: Path, what: str) -> None:
    first = folder / "train_speech" / "speaker" / "c0" / "u0.npy"
    codes = np.load(first)
    if what == "shorter":
        np.save(first, codes[:-10])
    elif what == "empty":
        np.save(first, codes[:0])
    elif what == "too large":
        np.save(first, codes + CODES)
    elif what == "missing":
        first.unlink()
    elif what == "lonely":
        np.save(first.with_name("u9.npy"), codes)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("shorter", r"speaker/c0/u0: units last .* s and codec tokens .* s\. They must agree within 0\.1 s"),
        ("empty", r"u0\.npy is empty"),
        ("too large", r"u0\.npy: `codec tokens` must be in 0\.\.31"),
        ("missing", r"units without a file in .*train_speech: speaker/c0/u0\."),
        ("lonely", r"no units for files in .*train_speech: speaker/c0/u9\."),
    ],
)
def test_files_that_do_not_fit_are_named_and_nothing_is_written(folder, what, message):
    spoil(folder, what)
    with pytest.raises(ValueError, match=message):
        ellav.train(options(folder))
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"k": 5}, ValueError, r"must be in 0\.\.4"),
        ({"train_speech": Path("nowhere")}, FileNotFoundError, "There is no folder nowhere"),
        ({"codec": "nosuch"}, ValueError, "`zoo` must be one of"),
        ({"code_rate": 75.0}, ValueError, "They must agree"),
        ({"scheduled_sampling": 1.5}, ValueError, "`scheduled_sampling` must be from 0 to 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(folder, more, error, message):
    with pytest.raises(error, match=message):
        ellav.train(options(folder, **more))


def test_a_checkpoint_of_another_shape_is_refused(folder):
    ellav.train(options(folder))
    with pytest.raises(CheckpointError, match="of another model"):
        ellav.train(options(folder, resume=True, num_codes=64))


def test_the_command(folder, capsys):
    small = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    words = ["train", "ellav", "--steps", "2", "--batch", "2", "--accumulate", "1", "--device", "cpu", *small]
    for name in ("run", "train", "validation", "train-speech", "validation-speech"):
        words += [f"--{name}", str(folder / name.replace("-", "_"))]
    assert cli.main([*words, "--k", str(K), "--lmbda", "4", "--num-codes", str(CODES)]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "ellav"
    assert len(list(UnitSource(folder / "train").read(K))) == 12
