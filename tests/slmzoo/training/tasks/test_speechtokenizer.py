from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import speechtokenizer
from slmcore import audio
from slmcore.files.checkpoint import save
from slmcore.layers.discriminators import (
    MultiPeriodDiscriminator,
    MultiScaleDiscriminator,
    MultiScaleSTFTDiscriminator,
)
from slmzoo import hub
from slmzoo.cli import main
from slmzoo.training.data.segments import segments_of
from slmzoo.training.loop.fit import fit
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks.distillation import Teacher
from slmzoo.training.tasks.rvq.adversary import Adversary
from slmzoo.training.tasks.rvq.task import folded
from slmzoo.training.tasks.speechtokenizer import SpeechTokenizerSettings, SpeechTokenizerTask, train
from speechtokenizer import SpeechTokenizer
from tests.reference import goldens
from tests.reference.runs import equal_ends, figures, fit_until_killed, step_of
from tests.reference.tones import write_chirps

RATE = 8000
ROOT = Path(__file__).parents[4]
SMALL = {"discriminator_width": 0.02}


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chirps(tmp_path_factory.mktemp("tones"), (4000, 4900, 5800), RATE, noise=0.02)


def settings(run: Path, tones: Path, **more: object) -> SpeechTokenizerSettings:
    usual = {
        "audio": [str(tones)], "validation": [str(tones / "0.wav")], "steps": 4, "batch": 2, "lr": 2e-3,
        "crop": 2400, "start_crops": 8, "sample_rate": RATE, "strides": (4, 5, 4), "n_filters": 4, "dimension": 8,
        "lstm_layers": 1, "codebook_size": 16, "num_codebooks": 3, "discriminators": (), "log_every": 1,
        "validate_every": None, "save_every": 1, "samples": 1, "device": "cpu",
    }  # fmt: skip
    return SpeechTokenizerSettings(run=run, **{**usual, **more})  # pyright: ignore[reportArgumentType]


def task(chosen: SpeechTokenizerSettings, teacher: Teacher | None = None) -> SpeechTokenizerTask:
    sets = [segments_of(named, chosen.sample_rate) for named in (chosen.audio, chosen.validation)]
    return SpeechTokenizerTask(chosen, *sets, teacher)


class Loudness(torch.nn.Module):
    """Encoder of 100 Hz and 3 features that depend on the sound alone."""

    sample_rate, frame_rate, dim, num_layers, operating_point = RATE, 100.0, 3, 1, None

    def __init__(self) -> None:
        super().__init__()
        self.frozen = torch.nn.Linear(1, 1)

    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        loudness = wav[0].unfold(0, 80, 80).abs().mean(1)
        return torch.stack([loudness * 0 + 1, 8 * loudness, loudness.square()], 1)

    def features_batch(self, wavs: Any, sr: int, layer: int | None = None) -> list[Tensor]:
        return [self.features(wav, sr, layer) for wav in wavs]


class Published:
    """The golden step: the small model with weight norm and the published discriminators, both by the recipe."""

    about, arrays = goldens.load("speechtokenizer_losses")
    values = about["values"]

    def __init__(self, run: Path, tones: Path) -> None:
        config = self.about["config"]
        sizes = {"strides": (2, 4, 5, 8), "codebook_size": config["codebook_size"], "lstm_layers": 2}
        sizes |= {"sample_rate": 16000, "n_filters": config["n_filters"], "dimension": config["dimension"]}
        chosen = settings(run, tones, num_codebooks=config["n_q"], revive_below=0.0, crop=4800, **sizes)
        encoder = Loudness()
        encoder.dim = config["semantic_dimension"]  # pyright: ignore[reportAttributeAccessIssue]
        self.task = task(chosen, Teacher(encoder, 50.0))
        self._load_codec()
        self.task.teacher = lambda wavs, sr: normal(3, 2, 15, 24)  # pyright: ignore[reportAttributeAccessIssue]
        self.x = 0.1 * normal(0, 2, 1, 4800)[:, 0]

    def _load_codec(self) -> None:
        shapes = goldens.load_json("speechtokenizer_small")["variants"]["elu"]["state_dict"]
        codec, state = self.task.codec, {}
        for name, (shape, _) in shapes.items():
            if not name.startswith("quantizer"):
                state[ours(name)] = goldens.tensor(name, shape)
        for level, (mean, scale) in enumerate(
            zip(*(self.arrays[f"step/codebook_{name}"] for name in ("mean", "scale")), strict=True)
        ):
            shape = tuple(codec.quantizer.layers[level].embed.shape)
            made = goldens.tensor(f"quantizer.vq.layers.{level}._codebook.embed", shape) * shape[1] ** 0.5
            state[f"quantizer.layers.{level}.embed"] = made * torch.from_numpy(scale) + torch.from_numpy(mean)
        codec.load_state_dict(state)
        self.task.codebooks.resume()
        self.task.train()

    def add_discriminators(self) -> None:
        kinds = {"mpd": MultiPeriodDiscriminator(), "msd": MultiScaleDiscriminator()}
        kinds["mstftd"] = MultiScaleSTFTDiscriminator()
        for kind, network in kinds.items():
            shapes = self.about["discriminators"][kind]["state_dict"]
            network.load_state_dict({key: self._weight(kind, key, shape[0], shapes) for key, shape in shapes.items()})
        names = ("multi-period", "multi-scale", "multi-scale-stft")
        networks = dict(zip(names, kinds.values(), strict=True))
        self.task.adversary = Adversary(self.task.settings, 16000)
        self.task.adversary.networks = torch.nn.ModuleDict(networks)
        self.task.train()

    def _weight(self, kind: str, key: str, shape: list[int], shapes: dict) -> Tensor:
        if key.endswith("window"):
            return torch.hann_window(shape[0])
        made = goldens.tensor(f"{kind}.{key}", shape)
        spectral = key.rpartition(".")[0] + ".weight_orig"
        if key.endswith("weight_u"):
            return made / made.norm()
        if key.endswith("weight_v") and spectral in shapes:
            u = self._weight(kind, key[:-1] + "u", shapes[key[:-1] + "u"][0], shapes)
            rows = goldens.tensor(f"{kind}.{spectral}", shapes[spectral][0]).flatten(1)
            return torch.nn.functional.normalize(rows.T @ u, dim=0)
        return made


def ours(name: str) -> str:
    """The name of a published parameter in a model under torch's parametrisation of weight norm."""
    name = re.sub(r"\.(conv|convtr)\.\1\.", ".", name)
    return name.replace("weight_g", "parametrizations.weight.original0").replace(
        "weight_v", "parametrizations.weight.original1"
    )


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(goldens.seed() + seed).standard_normal(shape).astype(np.float32))


@pytest.mark.golden
def test_a_whole_training_step_is_the_golden(tmp_path: Path, tones: Path) -> None:
    """All but the commitment of levels 2 to 4, which trains the encoder here and does not as published."""
    golden = Published(tmp_path, tones)
    golden.add_discriminators()
    model, values = golden.task, golden.values
    with torch.no_grad():
        made = model.codec(golden.x[:, None])
    judged = model.adversary(made[0][:, 0], golden.x)
    assert judged.item() == pytest.approx(values["step/discriminator_loss"], rel=1e-4)
    assert np.allclose(made[0][..., ::8].numpy(), golden.arrays["step/audio"], atol=1e-4)
    assert np.allclose(made[2].numpy(), golden.arrays["step/feature"], atol=1e-4)
    batch = {"wav": golden.x, "lengths": torch.tensor([4800, 4800])}
    total, found = model.loss("codec", batch, StepContext(0, generator(0, 0)))
    weights = model.settings.weights()
    mel = sum(weights[name] * float(value) for name, value in found.items() if name.startswith("mel"))
    assert mel == pytest.approx(values["step/mel"], rel=1e-4)
    assert float(found["waveform"]) == pytest.approx(values["step/recon"], rel=1e-4)
    assert float(found["commitment"]) == pytest.approx(values["step/commitment"], rel=1e-3)
    assert float(found["distillation"]) == pytest.approx(values["step/distill"], rel=1e-4)
    assert float(found["adversarial"]) == pytest.approx(values["step/adversarial"], rel=1e-4)
    assert weights["matching"] * float(found["matching"]) == pytest.approx(values["step/feature"], rel=1e-3)
    assert total.item() == pytest.approx(values["step/generator_total"], rel=1e-4)
    latents = model.codec.analyse(golden.x)
    first, every = (model.codec.quantizer(latents, levels).commitment for levels in (1, 4))
    (total + weights["commitment"] * (first / 4 - every)).backward()
    named = dict(model.codec.named_parameters())
    for name, norm in values["step/gradient_norm"].items():
        assert float(named[ours(name)].grad.norm()) == pytest.approx(norm, rel=5e-3), name
    for name in (n.removeprefix("step/grad/") for n in golden.arrays if n.startswith("step/grad/")):
        found_gradient = named[ours(name)].grad.flatten()
        wanted = torch.from_numpy(golden.arrays[f"step/grad/{name}"]).flatten()
        thinned = found_gradient[:: max(1, len(found_gradient) // 64)][: len(wanted)]
        assert float((thinned - wanted).abs().max()) < 2e-2 * float(wanted.abs().max()), name
    model.after_step(0)
    moved = model.codec.quantizer.layers[0].embed
    assert np.allclose(moved.numpy(), golden.arrays["step/embed_after_layer0"], atol=1e-5)


def test_the_recipe_is_the_published_one(tmp_path: Path, tones: Path) -> None:
    chosen = SpeechTokenizerSettings(audio=[str(tones)], validation=[str(tones)], run=tmp_path)
    weights = {"commitment": 10, "adversarial": 1, "matching": 2, "distillation": 120, "waveform": 500}
    assert chosen.weights() == {**weights, "mel_1024": 45, "mel_512": 1, "mel_256": 1, "mel_128": 1}
    assert (chosen.lr_at(0), chosen.lr_at(chosen.steps - 1)) == (pytest.approx(1e-4), 0)
    shapes = {k: v[0] for k, v in goldens.load_json("speechtokenizer_full")["variants"]["elu"]["state_dict"].items()}
    model = SpeechTokenizer(chosen.sizes(768))
    assert sum(p.numel() for p in model.parameters()) == sum(
        int(np.prod(shape)) for key, shape in shapes.items() if "weight_g" not in key and "quantizer" not in key
    )


@pytest.mark.parametrize(
    "killed", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_a_run_that_was_killed_at_any_step_resumes_bit_for_bit(tmp_path: Path, tones: Path, killed: int) -> None:
    """The published trainer begins its discriminators anew."""
    plan = {"discriminators": ("multi-period", "multi-scale", "multi-scale-stft"), "crop": 2400, "accumulate": 2}
    plan |= {"discriminator_from": 1, "revive_below": 0.5, **SMALL}

    def opened(name: str, **more: object) -> tuple[SpeechTokenizerTask, SpeechTokenizerSettings]:
        chosen = settings(tmp_path / name, tones, **plan, **more)
        return task(chosen, Teacher(Loudness(), chosen.sample_rate / 80)), chosen

    whole, of_whole = opened("whole")
    fit(whole, of_whole, Run.open(of_whole))
    dying, stopped = opened("stopped", resume=True)
    fit_until_killed(
        dying,
        stopped,
        "loss",
        lambda part, batch, at: at.step == killed and part == ("codec" if killed == 1 else "discriminators"),
    )
    assert step_of(stopped.run) == killed
    resumed, stopped = opened("stopped", resume=True)
    fit(resumed, stopped, Run.open(stopped))
    assert figures(stopped.run) == figures(of_whole.run)
    end = equal_ends(of_whole.run, stopped.run, ("discriminators", "codec"))
    assert sum(name.startswith("adversary.") for name in end) > 50
    assert not any("frozen" in name or "teacher" in name for name in end)


def test_levels_start_by_kmeans_and_dead_codes_live_again(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, start_crops=40, decay=0.8))
    assert not model.codebooks.started
    batch = model.batch_at(0, 0, generator(1, 0))
    model.loss("codec", batch, StepContext(0, generator(2, 0)))
    assert model.codebooks.started
    with torch.no_grad():
        latents = model.codec.analyse(batch["wav"])
    found = model.codec.quantizer(latents)
    # Each level takes away most of what the one before it left, as means of it do and random vectors do not.
    left = [float(x.square().mean()) for x in found.residuals] + [float((latents - found.latents).square().mean())]
    assert all(after < 0.7 * before for before, after in itertools.pairwise(left))
    book, means = model.codec.quantizer.layers[1], model.codebooks.means[1]
    book.embed[3:] = 1e3
    means.resume(book.embed)
    for number in range(1, 40):
        with torch.no_grad():
            model.loss("codec", batch, StepContext(number, generator(2, number)))
        model.after_step(number)
    assert float(book.embed.abs().max()) < 100
    assert int(model.codebooks.figures()["used_2"]) > 8


def test_a_run_lowers_its_losses_and_its_model_is_one_of_a_zoo(tmp_path: Path, tones: Path) -> None:
    chosen = settings(
        tmp_path / "run", tones, steps=40, lr=5e-3, validate_every=40, save_every=40, save_half=True,
        discriminators=("multi-scale-stft",), discriminator_from=35, distillation=20.0, **SMALL,
    )  # fmt: skip
    found = train(chosen)
    rows = figures(chosen.run)
    assert float(rows[-1]["mel_1024"]) < 0.8 * float(rows[0]["mel_1024"])
    assert float(rows[-1]["loss_discriminators"]) > 0
    assert (found["kind"], found["step"]) == ("speechtokenizer", 40)
    codec = hub.codec(zoo="mine", registry=chosen.registry_file)
    assert isinstance(codec, SpeechTokenizer)
    file = chosen.run / "speechtokenizer.safetensors"
    assert SpeechTokenizer.from_pretrained(file).config == codec.config
    wav, _ = audio.load(tones / "0.wav")
    copy = codec.decode_codes(codec.encode_wav(wav, RATE))[:, : wav.shape[1]]
    shown = chosen.run / "samples" / "step-0000040" / "00-0.wav"
    assert torch.allclose(audio.load(shown)[0], copy.clamp(-1, 1), atol=2e-2)
    pipeline = hub.pipeline(zoo="mine", registry=chosen.registry_file)
    assert torch.equal(pipeline.units(wav, RATE).framewise(), codec.encode_wav(wav, RATE).codes[0])


def test_what_is_distilled_comes_nearer_to_its_teacher(tmp_path: Path, tones: Path) -> None:
    reached = []
    for weight in (0.0, 500.0):
        chosen = settings(tmp_path / str(weight), tones, steps=25, lr=5e-3, crop=800, distillation=weight)
        model = task(chosen, Teacher(Loudness(), chosen.sample_rate / 80))
        assert (model.codec.config.semantic_dimension, model.project) == (3, None)
        fit(model, chosen, Run.open(chosen))
        reached.append(float(figures(chosen.run)[-1]["distillation"]))
    assert reached[1] < 0.95 * reached[0]


def test_the_demos_encoder_teaches_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = str(ROOT / "examples" / "sample.wav")
    sizes = "--sample-rate 16000 --crop 3200 --strides 4 8 10 --n-filters 4 --dimension 8 --lstm-layers 1 --steps 2"
    rest = "--codebook-size 8 --num-codebooks 2 --batch 2 --start-crops 2 --discriminators multi-period --device cpu"
    given = [*sizes.split(), *rest.split(), "--discriminator-width", "0.02", "--validate-every", "2"]
    given += ["--teacher", "demo", "--teacher-layer", "mean", "--audio", sample, "--validation", sample]
    assert main(["train", "speechtokenizer", *given, "--run", str(tmp_path / "run"), "--log-every", "1"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["zoo"], line["kind"], line["step"]) == ("mine", "speechtokenizer", 2)
    assert 0 < float(figures(tmp_path / "run")[0]["distillation"]) < 1.5
    model = speechtokenizer.load(tmp_path / "run" / "speechtokenizer.safetensors")
    assert model.config.semantic_dimension == hub.encoder(zoo="demo").dim
    other = [word if word != "mean" else "2" for word in given]
    assert main(["train", "speechtokenizer", *other, "--run", str(tmp_path / "run"), "--resume"]) == 2
    assert "`teacher_layer` must be 'mean', with which" in capsys.readouterr().err


def test_a_run_starts_from_a_model_of_the_same_sizes(tmp_path: Path, tones: Path) -> None:
    first = task(settings(tmp_path / "first", tones, seed=5))
    batch = first.batch_at(0, 0, generator(1, 0))
    first.loss("codec", batch, StepContext(0, generator(2, 0)))
    save(tmp_path / "codec.safetensors", folded(first.codec.checkpoint()))
    second = task(settings(tmp_path / "second", tones, init=str(tmp_path / "codec.safetensors")))
    wav = audio.load(tones / "1.wav")[0]
    assert torch.equal(first.codec.encode_wav(wav, RATE).codes, second.codec.encode_wav(wav, RATE).codes)
    assert second.codebooks.started
    taught = task(settings(tmp_path / "taught", tones), Teacher(Loudness(), 100.0))
    save(tmp_path / "taught.safetensors", folded(taught.codec.checkpoint()))
    alone = task(settings(tmp_path / "alone", tones, init=str(tmp_path / "taught.safetensors")))
    assert (alone.teacher, alone.codec.config.semantic_dimension) == (None, 3)
    assert torch.equal(alone.codec.transform.weight, taught.codec.transform.weight)
    with pytest.raises(ValueError, match="`init` must be a model with"):
        task(settings(tmp_path / "third", tones, init=str(tmp_path / "codec.safetensors"), num_codebooks=2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crop": 2401}, r"`crop` must be a multiple of the hop \(80\)"),
        ({"mels": (1.0, -1.0, 1.0, 1.0)}, "`mel_512` must be a finite number >= 0"),
        ({"waveform": float("inf")}, "`waveform` must be a finite number >= 0"),
        ({"num_codebooks": 0}, "`num_codebooks`"),
        ({"activation": "Tanh"}, "`activation` must be one of ELU, Snake"),
        ({"discriminators": ("multi-scale-stft",), "crop": 1600}, "`crop` must be at least 2048 samples"),
        ({"teacher": "nobody"}, "neither a zoo nor a model file"),
        ({"teacher": "demo", "teacher_layer": "99"}, "`teacher_layer` must be from 1 to the encoder's"),
        ({"teacher_variant": "hubert"}, "`teacher_variant` must be left out without teacher"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path, tones: Path, wrong, message) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train(settings(tmp_path / "run", tones, **wrong))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path, tones: Path) -> None:
    common = "--steps 3 --batch 2 --accumulate 2 --lr 1e-3 --crop 2400 --start-crops 4 --sample-rate 8000 --log-every 1"
    sizes = "--strides 4 5 4 --n-filters 4 --dimension 8 --lstm-layers 1 --codebook-size 16 --num-codebooks 3"
    rest = "--validate-every 3 --save-every 3 --device cpu --discriminators multi-period --discriminator-width 0.02"
    ends = []
    for devices in ("1", "2"):
        run = tmp_path / devices
        where = ["--audio", str(tones), "--validation", str(tones / "0.wav"), "--run", str(run), "--devices", devices]
        words = [sys.executable, "-m", "slmzoo", "train", "speechtokenizer", *where]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        words += [*common.split(), *sizes.split(), *rest.split()]
        done = subprocess.run(words, capture_output=True, check=False, timeout=300, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr.decode()
        ends.append(torch.load(run / "last.ckpt", weights_only=True)["task"])
    for name, value in ends[0].items():
        assert torch.allclose(value.float(), ends[1][name].float(), atol=2e-3), name
