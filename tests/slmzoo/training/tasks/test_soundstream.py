from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slmcore import audio
from slmcore.files.checkpoint import fold_weight_norm, save
from slmzoo import hub
from slmzoo.cli import main
from slmzoo.training.data.segments import segments_of
from slmzoo.training.loop.fit import fit
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks.distillation import Teacher
from slmzoo.training.tasks.rvq.adversary import DISCRIMINATORS
from slmzoo.training.tasks.soundstream import SoundStreamSettings, SoundStreamTask, measured, train
from soundstream import SoundStream
from tests.reference.runs import equal_ends, figures, fit_until_killed, step_of
from tests.reference.soundstream_losses import ARRAYS, frequency, waves
from tests.reference.tones import write_chirps

RATE = 8000


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chirps(tmp_path_factory.mktemp("tones"), (3000, 3900, 4800), RATE, noise=0.02)


def settings(run: Path, tones: Path, **more: object) -> SoundStreamSettings:
    usual = {
        "audio": [str(tones)], "validation": [str(tones / "0.wav")], "steps": 4, "batch": 2, "lr": 2e-3, "warmup": 1,
        "crop": 1600, "start_crops": 8, "sample_rate": RATE, "strides": (4, 5), "n_filters": 4, "dimension": 8,
        "lstm_layers": 1, "codebook_size": 16, "num_codebooks": 3, "discriminators": (), "statistics_crops": 4,
        "log_every": 1, "validate_every": None, "save_every": 1, "samples": 1, "device": "cpu",
    }  # fmt: skip
    return SoundStreamSettings(run=run, **{**usual, **more})  # pyright: ignore[reportArgumentType]


def task(chosen: SoundStreamSettings, teacher: Teacher | None = None) -> SoundStreamTask:
    sets = [segments_of(named, chosen.sample_rate) for named in (chosen.audio, chosen.validation)]
    return SoundStreamTask(chosen, *sets, teacher)


def step(model: SoundStreamTask, number: int) -> dict[str, tuple[torch.Tensor, dict]]:
    """The losses of one step, in the order in which the loop asks for them."""
    batch, found = model.batch_at(number, 0, generator(1, number)), {}
    for part in model.parts():
        loss = model.loss(part, batch, StepContext(number, generator(2, number)))
        if loss is not None:
            found[part] = loss
    model.after_step(number)
    return found


class Loudness:
    """Encoder of 100 Hz and 3 features that depend on the sound alone."""

    sample_rate, frame_rate, dim, num_layers, operating_point = RATE, 100.0, 3, 1, None

    def features_batch(self, wavs, sr, layer=None):
        loudness = [wav[0].unfold(0, 80, 80).abs().mean(1) for wav in wavs]
        return [torch.stack([x * 0 + 1, 8 * x, -(x**0)], 1) for x in loudness]


def test_a_batch_holds_segments_and_zeros_behind_short_recordings(tmp_path: Path, tones: Path) -> None:
    audio.write(tmp_path / "short.wav", torch.full((1, 500), 0.5), RATE)
    model = task(settings(tmp_path / "run", tones, audio=[str(tones), str(tmp_path / "short.wav")], batch=60, gain=0.5))
    batch = model.batch_at(3, 1, generator(0, 0))
    wholes = [audio.load(file)[0][0] * 0.5 for file in (*sorted(tones.glob("*.wav")), tmp_path / "short.wav")]
    short = 0
    for wav, length in zip(batch["wav"], batch["lengths"].tolist(), strict=True):
        assert length == (500 if short_of(wav, length) else 1600)
        assert bool((wav[length:] == 0).all())
        inside = [whole.unfold(0, length, 1) for whole in wholes if len(whole) >= length]
        assert any(bool((windows == wav[:length]).all(1).any()) for windows in inside)
        short += length == 500
    assert 0 < short < 20


def short_of(wav: torch.Tensor, length: int) -> bool:
    return length < len(wav)


def test_silence_behind_the_end_adds_nothing_to_any_loss(tmp_path: Path, tones: Path) -> None:
    """A decoder that is loud everywhere is judged where the recording is."""
    model = task(settings(tmp_path, tones, waveform=1.0))
    step(model, 0)
    wav = torch.zeros(1, 1600)
    wav[:, :800] = 0.1 * torch.randn(1, 800, generator=generator(0, 0))
    inputs = []
    model.losses.register_forward_hook(lambda module, given, found: inputs.append(given[0].detach()))
    with torch.no_grad():
        model.codec.decoder.model[-1].bias.fill_(3.0)
    model.loss("codec", {"wav": wav, "lengths": torch.tensor([800])}, StepContext(1, generator(0, 1)))
    assert float(inputs[-1][:, :800].min()) > 1
    assert float(inputs[-1][:, 800:].abs().max()) == 0


def test_levels_are_drawn_for_the_step_alone(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, quantizer_dropout=0.5))
    drawn = [model.levels_at(n) for n in range(600)]
    assert drawn == [
        task(settings(tmp_path, tones, quantizer_dropout=0.5, accumulate=2)).levels_at(n) for n in range(600)
    ]
    counts = np.bincount(drawn, minlength=4)[1:] / 600
    assert counts.tolist() == pytest.approx([1 / 6, 1 / 6, 4 / 6], abs=0.06)
    never = task(settings(tmp_path, tones, quantizer_dropout=0.0))
    assert {never.levels_at(n) for n in range(20)} == {3}
    chosen = task(settings(tmp_path, tones, quantizer_dropout=1.0, dropout_levels=(1, 1, 3)))
    assert np.mean([chosen.levels_at(n) == 1 for n in range(600)]) == pytest.approx(2 / 3, abs=0.06)


def test_the_codec_runs_once_a_step_and_its_judges_learn_from_a_copy(tmp_path: Path, tones: Path) -> None:
    model = task(
        settings(tmp_path, tones, discriminators=("multi-period", "multi-scale"), discriminator_width=0.02,
                 discriminator_from=1, discriminator_every=2)
    )  # fmt: skip
    calls = []
    model.codec.decoder.register_forward_hook(lambda *_: calls.append(1))
    assert list(step(model, 0)) == ["codec"]
    assert "adversarial" not in step(model, 0)["codec"][1]
    calls.clear()
    found = step(model, 2)
    assert list(found) == ["codec", "discriminators"]
    assert len(calls) == 1
    assert found["codec"][1]["adversarial"] > 0
    found["discriminators"][0].backward()
    assert all(p.grad is None for p in model.codec.parameters())
    assert all(p.grad is not None for p in model.adversary.parameters())
    assert list(step(model, 3)) == ["codec"]


@pytest.mark.golden
def test_the_published_losses_are_weighted_to_the_published_total(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, discriminators=("multi-period",), discriminator_width=0.02))
    model.adversary.networks = torch.nn.ModuleDict({"multi-frequency": frequency("mfd_small")})
    (made, real), short = (tuple(waves(n)[name] for name in ("fake", "real")) for n in (4003, 1203))
    with torch.no_grad():
        found = {**model.losses(made, real), **model.adversary.generator_losses(*short)}
    items = dict(zip(("adversarial", "matching"), ARRAYS["generator/items"], strict=False))
    assert {name: float(found[name]) for name in items} == pytest.approx(items, rel=1e-4)
    total = sum(model.settings.weights()[name] * float(value) for name, value in found.items())
    assert total == pytest.approx(float(ARRAYS["generator/total"][0]), rel=1e-5)


def test_every_parameter_belongs_to_one_optimiser_and_moves(tmp_path: Path, tones: Path) -> None:
    sizes = {"transformer_layers": 1, "transformer_heads": 2, "transformer_hidden": 8, "quantizer_dimension": 4}
    chosen = settings(
        tmp_path / "run", tones, causal=True, semantic=True, downsample=2, discriminators=("multi-scale-stft",),
        discriminator_width=0.05, crop=2080, unquantised_share=0.5, steps=3, warmup=0, **sizes,
    )  # fmt: skip
    model = task(chosen, Teacher(Loudness(), chosen.sizes.frame_rate))
    parts = {name: list(group.parameters) for name, group in model.parts().items()}
    ids = [id(p) for parameters in parts.values() for p in parameters]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    fit(model, chosen, Run.open(chosen))
    assert [name for name, value in model.named_parameters() if torch.equal(value, before[name])] == []


def test_the_teachers_projection_and_its_loss_exist_only_with_a_teacher(tmp_path: Path, tones: Path) -> None:
    assert task(settings(tmp_path, tones)).project is None
    for distil, width in (("codes", 4), ("latents", 8)):
        chosen = settings(tmp_path, tones, quantizer_dimension=4, distil=distil, distillation=2.0)
        model = task(chosen, Teacher(Loudness(), chosen.sizes.frame_rate))
        assert (model.project.in_features, model.project.out_features) == (width, 3)
        total, parts = step(model, 0)["codec"]
        assert 0 < float(parts["distillation"]) < 2
        total.backward()
        assert float(model.codec.encoder.model[0].bias.grad.abs().max()) > 0
        assert not any(name.startswith("teacher") for name in model.state_dict())


def test_distillation_lowers_the_distance_to_the_teacher(tmp_path: Path, tones: Path) -> None:
    made = []
    for weight in (0.0, 20.0):
        chosen = settings(tmp_path / str(weight), tones, steps=15, lr=5e-3, distillation=weight, distil="latents")
        fit(task(chosen, Teacher(Loudness(), chosen.sizes.frame_rate)), chosen, Run.open(chosen))
        made.append(float(figures(chosen.run)[-1]["distillation"]))
    assert made[1] < 0.9 * made[0]


@pytest.mark.parametrize("killed", [1, 2, 3])
def test_a_run_that_was_killed_at_any_step_resumes_bit_for_bit(tmp_path: Path, tones: Path, killed: int) -> None:
    plan = {
        "discriminators": ("multi-period", "multi-scale"), "discriminator_width": 0.02, "discriminator_from": 1,
        "quantizer_dropout": 0.5, "unquantised_share": 0.5, "latent_noise": 0.3, "accumulate": 2,
        "revive_below": 0.5,
    }  # fmt: skip
    whole = settings(tmp_path / "whole", tones, **plan)
    fit(task(whole), whole, Run.open(whole))
    stopped = settings(tmp_path / "stopped", tones, resume=True, **plan)
    dying = task(stopped)
    fit_until_killed(
        dying,
        stopped,
        "loss",
        lambda part, batch, at: at.step == killed and part == ("discriminators" if killed > 1 else "codec"),
    )
    assert step_of(stopped.run) == killed
    fit(task(stopped), stopped, Run.open(stopped))
    assert figures(stopped.run) == figures(whole.run)
    equal_ends(whole.run, stopped.run, ("discriminators", "codec"))


def test_collapsed_codebooks_stop_the_run_and_the_last_good_checkpoint_stays(tmp_path: Path, tones: Path) -> None:
    chosen = settings(tmp_path / "run", tones, steps=30, decay=0.5, collapse_below=0.1, revive_below=0.0)
    model = task(chosen)
    usual = model.batch_at

    def silent(step: int, number: int, draw: torch.Generator) -> dict:
        found = usual(step, number, draw)
        return found if step < 3 else {**found, "wav": torch.zeros_like(found["wav"])}

    model.batch_at = silent  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(FloatingPointError, match=r"collapsed: level 1 to a perplexity of .* the last good state\."):
        fit(model, chosen, Run.open(chosen))
    saved = torch.load(chosen.run / "last.ckpt", weights_only=True)
    assert 3 < saved["step"] < 30
    assert saved["step"] == int(figures(chosen.run)[-1]["step"])
    model.load_state_dict(saved["task"])
    assert model.trouble() is None


@pytest.mark.parametrize(
    ("decay", "revive_below", "steps"), [(0.2, 0.1, 2), (0.99, 0.1, 230), (0.5, 0.0, 0), (0.0, 0.1, 0)]
)
def test_a_code_is_revived_when_its_use_has_decayed(tmp_path, tones, decay, revive_below, steps) -> None:
    assert settings(tmp_path, tones, decay=decay, revive_below=revive_below).revival == steps


def test_a_collapse_that_revival_mends_does_not_stop_the_run(tmp_path: Path, tones: Path) -> None:
    chosen = settings(tmp_path / "run", tones, steps=12, decay=0.2, collapse_below=0.1, revive_below=0.1)
    model = task(chosen)
    usual, moved, perplexities = model.batch_at, model.after_step, []

    def silent(step: int, number: int, draw: torch.Generator) -> dict:
        found = usual(step, number, draw)
        return {**found, "wav": torch.zeros_like(found["wav"])} if 1 <= step < 4 else found

    def watched(step: int) -> None:
        moved(step)
        perplexities.append(float(model.codebooks.figures()["perplexity_1"]))

    model.batch_at, model.after_step = silent, watched  # pyright: ignore[reportAttributeAccessIssue]
    fit(model, chosen, Run.open(chosen))
    assert len(perplexities) == 12
    assert min(perplexities[:4]) < 0.1 * chosen.codebook_size


def test_a_collapse_stops_the_run_once_unused_codes_could_be_revived(tmp_path: Path, tones: Path) -> None:
    chosen = settings(tmp_path / "run", tones, steps=12, decay=0.2, revive_below=0.1)
    model, steps = task(chosen), []
    moved = model.after_step
    model.after_step = lambda step: (steps.append(step), moved(step))[1]  # pyright: ignore[reportAttributeAccessIssue]
    model.codebooks.collapsed = lambda below: {1: 1.0}  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(FloatingPointError, match="collapsed: level 1"):
        fit(model, chosen, Run.open(chosen))
    assert steps[-1] == 4


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, tones: Path) -> None:
    chosen = settings(tmp_path / "run", tones, steps=6)
    model = task(chosen)
    usual = model.losses.forward
    seen = []

    def broken(made: torch.Tensor, real: torch.Tensor) -> dict:
        seen.append(1)
        return {name: value * (float("nan") if len(seen) > 3 else 1) for name, value in usual(made, real).items()}

    model.losses.forward = broken
    with pytest.raises(FloatingPointError, match=r"not finite at step 3\..* the last good state\."):
        fit(model, chosen, Run.open(chosen))
    saved = torch.load(chosen.run / "last.ckpt", weights_only=True)
    assert saved["step"] == 3
    assert all(bool(torch.isfinite(value).all()) for value in saved["task"].values() if value.is_floating_point())


def test_bfloat16_changes_few_codes(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, num_codebooks=1)).eval()
    step(model, 0)
    wav = audio.load(tones / "2.wav")[0]
    with torch.no_grad():
        exact = model._quantized(model.codec.analyse(wav)).codes
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.codec.analyse(wav)
            assert latents.dtype == torch.bfloat16
            found = model._quantized(latents)
    assert found.latents.dtype == torch.float32
    assert float((found.codes == exact).float().mean()) > 0.9


def test_weights_of_another_run_are_where_a_run_starts(tmp_path: Path, tones: Path) -> None:
    first = task(settings(tmp_path / "first", tones, seed=5))
    step(first, 0)
    save(
        tmp_path / "codec.safetensors",
        replace(first.codec.checkpoint(), state=fold_weight_norm(first.codec.state_dict())),
    )
    second = task(settings(tmp_path / "second", tones, init=str(tmp_path / "codec.safetensors")))
    assert second.codebooks.started
    wav = audio.load(tones / "1.wav")[0]
    assert torch.equal(first.codec.encode(wav, RATE), second.codec.encode(wav, RATE))


def test_from_recordings_to_a_codec_of_ones_own_zoo(tmp_path: Path, tones: Path) -> None:
    chosen = settings(
        tmp_path / "run", tones, steps=40, lr=5e-3, validate_every=40, save_every=40, causal=True,
        discriminators=("multi-scale-stft",), discriminator_width=0.05, discriminator_from=35, crop=2400,
        unquantised_share=0.5, save_half=True,
    )  # fmt: skip
    found = train(chosen)
    rows = figures(chosen.run)
    assert float(rows[-1]["full_band"]) < 0.8 * float(rows[0]["full_band"])
    assert 1 <= float(rows[-1]["perplexity_3"]) <= 16
    assert float(rows[-1]["loss_discriminators"]) > 0
    assert found["step"] == 40
    assert found["mel"] < found["mel_level_1"] + 0.1
    codec = hub.codec(zoo="mine", registry=chosen.registry_file)
    assert isinstance(codec, SoundStream)
    wav, _ = audio.load(tones / "0.wav")
    copy = codec.decode(codec.encode(wav * 0.95, RATE), wav.shape[1])
    shown = chosen.run / "samples" / "step-0000040"
    assert torch.allclose(audio.load(shown / "00-0.wav")[0], copy.clamp(-1, 1), atol=2e-2)
    assert (shown / "00-0.png").stat().st_size > 10_000
    stream = codec.streaming()
    assert torch.equal(torch.cat([stream.encode(wav), stream.flush()], -1), codec.encode(wav, RATE))
    latents = codec.latents(wav, RATE)
    assert float(latents.std()) == pytest.approx(1, abs=0.6)
    assert torch.allclose(codec.from_latents(latents), codec.decode_latents(codec.encode_latents(wav, RATE)), atol=1e-4)


def test_the_latents_are_measured_on_the_known_frames(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, batch=3)).eval()
    report = measured(model, 6)
    found = []
    for number in range(2):
        batch = model.batch_at(number, 0, generator(0, number, (1 << 19) + 3))
        with torch.no_grad():
            found.append(model.codec.analyse(batch["wav"]).mT.flatten(0, 1))
    x = torch.cat(found).double()
    assert report.frames == len(x) == 6 * 80
    assert torch.allclose(report.mean, x.mean(0), atol=1e-9)
    assert torch.allclose(report.deviation, x.std(0, unbiased=False), atol=1e-7)


def test_the_command_reads_its_options_from_a_file(tmp_path: Path, tones: Path, capsys) -> None:
    kept = settings(tmp_path / "run", tones, steps=2, validate_every=1).kept()
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in kept.items() if value is not None)
    (tmp_path / "options.yaml").write_text("".join(lines))
    assert main(["train", "soundstream", "--config", str(tmp_path / "options.yaml"), "--steps", "1"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["zoo"], line["kind"], line["step"]) == ("mine", "soundstream", 1)
    assert line["mel_level_1"] > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crop": 1601}, r"`crop` must be a multiple of the hop \(20\)"),
        ({"crop": 400}, r"`crop` must be at least 1025 samples for the spectral losses"),
        ({"dropout_levels": (4,)}, "`dropout_levels` must be from 1 to the 3 levels"),
        ({"quantizer_dropout": 1.5}, "`quantizer_dropout` must be from 0 to 1"),
        ({"commitment": -1.0}, "`commitment` must be a finite number >= 0"),
        ({"sub_band": float("nan")}, "`sub_band` must be a finite number >= 0"),
        ({"discriminators": ("mpd",)}, "`discriminators` must be different ones of multi-frequency, multi-scale-stft"),
        ({"discriminators": ("multi-scale", "multi-scale")}, "different ones"),
        ({"discriminator_width": 0.0}, "`discriminator_width` must be a finite number > 0"),
        ({"discriminator_lr": 0.0}, "`discriminator_lr` must be a number > 0"),
        ({"latent_noise": 0.1}, "0 without unquantised_share"),
        ({"statistics_crops": 0}, "`statistics_crops` must be"),
        ({"gain": 0.0}, "`gain` must be"),
        ({"semantic": True}, "`semantic` must be"),
        ({"column": "audio"}, "`column` must be left out where the audio is no dataset"),
        ({"teacher_layer": "3"}, "`teacher_layer` must be left out without teacher"),
        ({"discriminators": ("multi-frequency",)}, "`crop` must be at least 8192 samples for multi-frequency"),
        ({"validation": ["nowhere"]}, "no file, folder or pattern"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path, tones: Path, wrong, message) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train(settings(tmp_path / "run", tones, **wrong))
    assert not (tmp_path / "run").exists()


def test_discriminators_of_every_name_take_the_shortest_crop_they_say() -> None:
    for name, make in DISCRIMINATORS.items():
        module = make(0.02, RATE)
        samples = getattr(module, "shortest", 200)
        outputs = module(torch.randn(2, samples, generator=generator(0, 0)))
        assert all(len(output.logits) == 2 for output in outputs), name


@pytest.mark.slow
def test_two_processes_train_the_codec_of_one_with_all_batches(tmp_path: Path, tones: Path) -> None:
    """Codec, codebooks and discriminators, with levels drawn for the step and a teacher."""
    plan = {
        "steps": 3, "accumulate": 2, "discriminators": ("multi-period",), "discriminator_width": 0.02,
        "quantizer_dropout": 0.5, "start_crops": 4, "revive_below": 0.0,
    }  # fmt: skip
    ends = []
    for devices in (1, 2):
        kept = settings(tmp_path / f"run-{devices}", tones, devices=devices, **plan).kept()
        lines = (f"{name}: {json.dumps(value)}\n" for name, value in kept.items() if value is not None)
        (tmp_path / f"{devices}.yaml").write_text("".join(lines))
        words = [sys.executable, "-m", "slmzoo", "train", "soundstream", "--config", str(tmp_path / f"{devices}.yaml")]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
        done = subprocess.run(words, capture_output=True, check=False, timeout=400, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr.decode()
        assert len(done.stdout.splitlines()) == 1
        ends.append(torch.load(tmp_path / f"run-{devices}" / "last.ckpt", weights_only=True)["task"])
    assert ends[0].keys() == ends[1].keys()
    for name, value in ends[0].items():
        assert torch.allclose(value.float(), ends[1][name].float(), atol=2e-4, rtol=1e-3), name
