from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import hubconf
from slmcore import audio
from slmcore.layers.discriminators import MultiPeriodDiscriminator, MultiScaleDiscriminator
from slmcore.layers.spectral import LogMel
from slmcore.units import Units
from slmzoo.cli import main
from slmzoo.training.data.aligned_codes import aligned_files
from slmzoo.training.data.aligned_speech import AlignedSpeech, speakers_of
from slmzoo.training.data.unit_files import UnitSource
from slmzoo.training.loop.fit import fit
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks.vocoder import VocoderSettings, VocoderTask, fold_weight_norm, train
from slmzoo.training.tasks.vocoder_losses import duration_loss, inner_runs, vocoder_discriminators
from tests.reference import goldens
from tests.reference.runs import equal_ends, figures, fit_until_killed, step_of
from tests.reference.units_on_disk import K, write_files, write_shards
from twist import UnitVocoder, VocoderConfig
from twist.published import published

RATE = 16000
SMALL = {
    "dim": 8, "channels": 16, "rates": (5, 8, 8), "block_kernels": (3,), "dilations": (1,), "duration_width": 8,
    "segment": 2560, "batch": 4, "lr": 2e-3, "log_every": 1, "validate_every": 8, "save_every": 2, "device": "cpu",
    "discriminator_width": 4, "samples": 1, "k": K, "lmbda": 4.0,
}  # fmt: skip


LEARNS = {"steps": 100, "channels": 32, "lr": 5e-3, "validate_every": 100}
"""Enough to tell the units apart."""


def speak(units: Path, folder: Path, hop: int = 320) -> None:
    """Recordings in which each unit is a tone of its own."""
    for place, file in enumerate(sorted(units.rglob("*.npy"))):
        pitch = 200 + 150 * torch.from_numpy(np.load(file).astype(np.int64)).repeat_interleave(hop)
        wav = 0.3 * torch.sin(2 * torch.pi * (pitch / RATE).cumsum(0))
        target = (folder / file.relative_to(units)).with_suffix(".wav")
        target.parent.mkdir(parents=True, exist_ok=True)
        audio.write(target, wav * (0.5 if place % 2 else 1), RATE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("speech")
    for name, sizes in (
        ("train", {"chapters": 2, "seed": 1}),
        ("validation", {"chapters": 1, "utterances": 2, "seed": 5}),
    ):
        speak(write_files(root / name, **sizes), root / f"{name}_speech")
    return root


def settings(run: Path, folder: Path, **more: object) -> VocoderSettings:
    where = {name: folder / name for name in ("train", "validation", "train_speech", "validation_speech")}
    return VocoderSettings(run=run, **{"steps": 8, **where, **SMALL, **more})  # pyright: ignore[reportArgumentType]


def speech(chosen: VocoderSettings, split: str = "train", hop: int = 320) -> AlignedSpeech:
    utterances = list(UnitSource(getattr(chosen, split)).read(K))
    files = aligned_files(utterances, getattr(chosen, f"{split}_speech"), True)
    return AlignedSpeech(utterances, files, RATE, hop, speakers_of(utterances) if chosen.speakers else ())


def task(chosen: VocoderSettings) -> VocoderTask:
    torch.manual_seed(chosen.seed)
    training_set = speech(chosen)
    speakers = ("c0", "c1") if chosen.speakers else ()
    return VocoderTask(UnitVocoder(chosen.sizes(K, 50.0, speakers)), training_set, speech(chosen, "validation"), chosen)


def test_the_defaults_are_the_published_ones():
    found = VocoderSettings(
        run=Path("r"), train=Path(), validation=Path(), train_speech=Path(), validation_speech=Path()
    )
    assert (found.batch, found.steps, found.segment, found.lr, found.betas) == (16, 500_000, 8960, 2e-4, (0.8, 0.99))
    assert (found.eps, found.weight_decay, found.decay, found.schedule) == (1e-8, 0.01, 0.999, "exponential")
    weights = (found.mel, found.feature_matching, found.adversarial, found.duration, found.objective)
    assert weights == (45, 2, 1, 1, "lsgan")
    assert found.sizes(100, 50.0) == VocoderConfig(num_units=100, duration_width=128)
    assert found.sizes(500, 25.0).generator.hop == 640
    assert vocoder_discriminators(found.discriminator_width)["mpd"].state_dict().keys() == (
        MultiPeriodDiscriminator().state_dict().keys()
    )
    for name, network in (("mpd", MultiPeriodDiscriminator()), ("msd", MultiScaleDiscriminator())):
        ours = {key: value.shape for key, value in vocoder_discriminators(32)[name].state_dict().items()}
        assert ours == {key: value.shape for key, value in network.state_dict().items()}


def test_the_learning_rate_falls_with_each_epoch_or_along_a_cosine(tmp_path: Path, folder: Path):
    chosen = settings(tmp_path, folder, batch=2, accumulate=2, decay=0.5, steps=7)
    parts = task(chosen).parts()
    assert list(parts) == ["discriminators", "vocoder"]
    # Eight utterances are two steps of four.
    assert [parts["vocoder"].optimization.lr_at(step) for step in range(5)] == [2e-3, 2e-3, 1e-3, 1e-3, 5e-4]
    slow = task(settings(tmp_path, folder, batch=2, accumulate=2, decay=0.5, steps=7, warmup=2)).parts()["vocoder"]
    assert [slow.optimization.lr_at(step) for step in range(3)] == [1e-7, pytest.approx(1e-3, rel=1e-3), 1e-3]
    cosine = task(settings(tmp_path, folder, schedule="cosine")).parts()["vocoder"].optimization
    assert cosine.lr_at(7) == pytest.approx(cosine.last_lr)


def test_a_segment_is_a_recording_at_one_peak_with_its_units(tmp_path: Path, folder: Path):
    training_set = speech(settings(tmp_path, folder))
    loud, quiet = (audio.load(folder / "train_speech/speaker/c0" / f"u{i}.wav")[0][0] for i in range(2))
    for index, wav in ((0, loud), (1, quiet)):
        units = np.load(folder / "train/speaker/c0" / f"u{index}.npy").astype(np.int64)
        starts = set()
        for draw in range(200):
            found, piece = training_set.segment(index, len(units) - 2, generator(0, draw))
            first = next(i for i in range(3) if np.array_equal(units[i : i + len(units) - 2], found.numpy()))
            expected = wav[first * 320 : first * 320 + len(piece)] / wav.abs().max() * 0.95
            assert torch.allclose(piece, expected, atol=1e-6)
            starts.add(first)
        assert starts == {0, 1, 2}


def test_an_utterance_shorter_than_a_segment_is_repeated(tmp_path: Path, folder: Path):
    training_set = speech(settings(tmp_path, folder))
    units = torch.from_numpy(np.load(folder / "train/speaker/c0/u1.npy").astype(np.int64))
    found, piece = training_set.segment(1, len(units) + 7, generator(3, 0))
    assert len(piece) == 320 * len(found)
    twice = units.repeat(2)
    assert any(torch.equal(twice[i : i + len(found)], found) for i in range(len(units) - 6))
    assert float(piece.abs().max()) == pytest.approx(0.95)


def test_runs_that_a_segment_cuts_are_left_out():
    units, durations = inner_runs(torch.tensor([4, 4, 9, 9, 9, 2, 7, 7]))
    assert (units.tolist(), durations.tolist()) == ([9, 2], [3, 1])
    units, durations = inner_runs(torch.tensor([5, 5, 8]))
    assert (units.tolist(), durations.tolist()) == ([5, 8], [2, 1])
    assert inner_runs(torch.tensor([3, 3]))[1].tolist() == [2]


@pytest.mark.golden
def test_the_published_training_forward_and_duration_loss():
    about, arrays = goldens.load("unit_hifigan_losses")
    state = goldens.weights({k: v for k, v in about["state_dict"].items() if k.startswith("generator.")})
    weights = {key.removeprefix("generator."): value for key, value in state.items()}
    found = published({"generator": weights}, about["generator_config"])
    model = UnitVocoder.from_checkpoint(found).eval()
    targets = about["losses"]["duration_targets"]
    codes = torch.tensor(targets["codes"])
    runs, durations = zip(*map(inner_runs, codes), strict=True)
    assert torch.cat(durations).tolist() == targets["durations"]
    padded = [torch.nn.utils.rnn.pad_sequence(list(each), batch_first=True) for each in (runs, durations)]
    loss = duration_loss(model, *padded)
    assert float(loss.detach()) == pytest.approx(about["losses"]["duration_loss"], rel=1e-4)
    loss.backward()
    assert float(model.frames.units.weight.grad.abs().max()) > 0
    none = torch.zeros(2, dtype=torch.int64)
    wav = model.generator(model.frames(model.frames.units(codes), None, none, none))
    golden = arrays["generator/audio"]
    assert np.abs(wav.detach().numpy() - golden).max() <= 1e-4 * golden.std()


def test_losses_reach_their_own_parts_alone(tmp_path: Path, folder: Path):
    model = task(settings(tmp_path, folder, discriminator_from=3))
    batch = model.batch(generator(0, 0))
    assert model.loss("discriminators", batch, StepContext(2, generator(0, 1))) is None
    assert "adversarial" not in model.loss("vocoder", batch, StepContext(2, generator(0, 1)))[1]
    model.loss("discriminators", batch, StepContext(3, generator(0, 1)))[0].backward()
    assert all(p.grad is None for p in model.model.parameters())
    assert all(p.grad is not None for p in model.discriminators.parameters())
    total, found = model.loss("vocoder", batch, StepContext(3, generator(0, 1)))
    total.backward()
    assert all(p.grad is not None for p in model.model.parameters())
    weighed = 45 * found["mel"] + found["adversarial"] + 2 * found["matching"] + found["duration"]
    assert float(total.detach()) == pytest.approx(float(weighed), rel=1e-5)


def test_every_parameter_belongs_to_one_optimiser_and_folding_changes_no_sound(tmp_path: Path, folder: Path):
    model = task(settings(tmp_path, folder))
    owned = [p for part in model.parts().values() for p in part.parameters]
    assert len(owned) == len({id(p) for p in owned}) == len(list(model.parameters()))
    batch = model.batch(generator(0, 0))
    before = model._generated(batch)
    fold_weight_norm(model.model)
    assert torch.allclose(model._generated(batch), before, atol=1e-6)
    assert model.model.state_dict().keys() == UnitVocoder(model.model.config).state_dict().keys()


@pytest.mark.slow
def test_from_units_and_recordings_to_a_vocoder_of_ones_own_zoo(tmp_path: Path, folder: Path):
    chosen = settings(tmp_path / "run", folder, **LEARNS, discriminator_from=98, save_half=True)
    found = train(chosen)
    rows = figures(chosen.run)
    assert float(rows[-1]["mel"]) < 0.6 * float(rows[0]["mel"])
    assert float(rows[-1]["loss_discriminators"]) > 0
    assert (found["kind"], found["k"], found["lmbda"], found["step"]) == ("unit_hifigan", K, 4.0, 100)
    vocoder = hubconf.unit_hifigan(zoo="mine", registry=chosen.registry_file)
    units = Units.from_framewise(torch.from_numpy(np.load(folder / "validation/speaker/c0/u1.npy")), 50.0)
    spoken = vocoder.speak([units])[0]
    shown = chosen.run / "samples" / "step-0000100" / "00-u0.wav"
    assert audio.load(shown)[1] == RATE
    assert shown.with_suffix(".png").stat().st_size > 5000
    wav = audio.load(folder / "validation_speech/speaker/c0/u1.wav")[0]
    other = vocoder.speak([Units(K - 1 - units.units, units.durations, 50.0)])[0]
    mel = LogMel(RATE)
    wav = wav * 0.95 / wav.abs().max()
    own, wrong = (float((mel(each.wav) - mel(wav)).abs().mean()) for each in (spoken, other))
    assert own < 0.9 * wrong
    assert found["frames_off"] < 1.5


def test_an_interrupted_adversarial_run_resumes_bit_for_bit(tmp_path: Path, folder: Path):
    plan = {"discriminator_from": 2, "accumulate": 2, "batch": 2}
    whole = settings(tmp_path / "whole", folder, **plan)
    fit(task(whole), whole, Run.open(whole))
    stopped = settings(tmp_path / "stopped", folder, resume=True, **plan)
    fit_until_killed(task(stopped), stopped, "loss", lambda part, batch, at: at.step == 5 and part == "vocoder")
    assert step_of(stopped.run) == 4
    fit(task(stopped), stopped, Run.open(stopped))
    assert figures(stopped.run) == figures(whole.run)
    assert any(name.endswith("weight_u") for name in equal_ends(whole.run, stopped.run))


def test_many_speakers_by_folder_and_bfloat16_from_shards(tmp_path: Path):
    for name, seed in (("train", 1), ("validation", 5)):
        units = write_files(tmp_path / "files" / name, chapters=2, utterances=3, seed=seed)
        speak(units / "speaker", tmp_path / f"{name}_speech" / "speaker", hop=640)
        write_shards(tmp_path / name, chapters=2, utterances=3, seed=seed)
    chosen = settings(
        tmp_path / "run", tmp_path, speakers=True, precision="bf16", rates=(8, 8, 10), steps=3, variant="voices",
        k=None, lmbda=None, duration_width=0, segment=5120, discriminator_from=0,
    )  # fmt: skip
    found = train(chosen)
    assert "frames_off" not in found
    assert np.isfinite(found["mel"])
    vocoder = hubconf.unit_hifigan("voices", zoo="mine", registry=chosen.registry_file)
    assert (vocoder.speakers, vocoder.frame_rate, vocoder.durations) == (("speaker",), 25.0, None)
    assert vocoder.operating_point.encoder == "tiny"
    with pytest.raises(ValueError, match="predicts no durations"):
        vocoder.speak([[1, 2]])


def test_each_speaker_has_a_row_of_its_own(tmp_path: Path, folder: Path):
    inner = {name: folder / name / "speaker" for name in ("train", "validation", "train_speech", "validation_speech")}
    chosen = settings(tmp_path, folder, **inner, speakers=True, batch=30)
    model = task(chosen)
    batch = model.batch(generator(0, 0))
    assert set(batch["speaker"].tolist()) == {0, 1}
    assert model._training_set.name(5).split("/")[0] == "c1"
    assert model._training_set.speaker(5) == 1
    other = {**batch, "speaker": 1 - batch["speaker"]}
    assert not torch.allclose(model._generated(batch), model._generated(other))


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path, folder: Path):
    first = settings(tmp_path / "first", folder, steps=2)
    train(first)
    (file,) = first.run.glob("*.safetensors")
    second = settings(tmp_path / "second", folder, steps=1, init=str(file), lr=1e-9, seed=4, discriminator_from=1)
    train(second)
    a, b = (hubconf.unit_hifigan(zoo="mine", registry=each.registry_file) for each in (first, second))
    assert torch.allclose(a(torch.arange(K)), b(torch.arange(K)), atol=1e-4)
    with pytest.raises(ValueError, match=r"`init` must be a model with .*'channels': 8"):
        train(settings(tmp_path / "third", folder, init=str(file), channels=8))


def test_the_command_prints_what_was_reached(tmp_path: Path, folder: Path, capsys):
    kept = settings(tmp_path / "run", folder, steps=2).kept()
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in kept.items() if value is not None)
    (tmp_path / "options.yaml").write_text("".join(lines))
    assert main(["train", "vocoder", "--config", str(tmp_path / "options.yaml")]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["zoo"], line["kind"], line["step"], line["k"]) == ("mine", "unit_hifigan", 2, K)
    assert line["mel"] > 0


def test_what_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path, folder: Path):
    (tmp_path / "empty").mkdir()
    single = write_files(tmp_path / "single", chapters=1, utterances=1)
    (single / "speaker/c0/u0.npy").rename(single / "u0.npy")
    speak(single, tmp_path / "single_speech")
    speak(folder / "train", tmp_path / "slow", hop=360)
    wrong = {
        "factors of 320 samples per frame": {"rates": (5, 4)},
        r"`rates` must be factors of 200 .*left out": {"rates": (), "frame_rate": 80.0},
        "a multiple of the 320 samples": {"segment": 2561},
        "at least 1024 samples": {"segment": 320},
        "a multiple of 4": {"discriminator_width": 6},
        "`decay` must be": {"decay": 1.1},
        "`mel` must be a weight": {"mel": -1.0},
        "`duration_dropout` must be": {"duration_dropout": 1.0},
        "`held_out` must be": {"held_out": 0},
        "must agree within 0.1 s": {"train_speech": tmp_path / "slow"},
        "units without a file": {"train_speech": tmp_path / "empty"},
        "There is no folder": {"validation_speech": tmp_path / "none"},
        r"`units` must be in 0\.\.3": {"k": 4},
        "a folder for each speaker": {"train": single, "train_speech": tmp_path / "single_speech", "speakers": True},
        "one of the training set, speaker": {"validation": folder / "validation/speaker", "speakers": True,
                                             "validation_speech": folder / "validation_speech/speaker"},
    }  # fmt: skip
    for message, change in wrong.items():
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            train(settings(tmp_path / "run", folder, **change))
        assert not (tmp_path / "run").exists(), message


@pytest.mark.gpu
def test_training_and_validation_on_a_gpu(tmp_path: Path, folder: Path):
    found = train(settings(tmp_path / "run", folder, device="cuda", steps=4, validate_every=2))
    assert (found["step"], np.isfinite(found["mel"])) == (4, True)
