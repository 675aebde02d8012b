from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmcore.files.checkpoint import save
from slmcore.layers import discriminators
from slmzoo.cli import main
from slmzoo.systems import dp_slm
from slmzoo.training.data.recordings import Recordings
from slmzoo.training.loop.fit import fit
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks.codec import CodecSettings, CodecTask, train
from tests.reference.runs import equal_ends, figures, fit_until_killed, step_of
from tests.reference.tones import write_chirps

RATE = 16000


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chirps(tmp_path_factory.mktemp("tones"), (8000, 8100, 8200), RATE)


@pytest.fixture(autouse=True)
def _few_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discriminators.Discriminators.__init__, "__defaults__", ((2, 3), (256, 128)))


def settings(run: Path, tones: Path, **more: object) -> CodecSettings:
    usual = {
        "audio": [str(tones)], "validation": [str(tones / "0.wav")], "steps": 8, "batch": 4, "lr": 2e-3, "warmup": 2,
        "crop": 2400, "quantize_from": 3, "start_crops": 8, "sample_rate": RATE, "strides": (8, 5, 5), "n_filters": 4,
        "dimension": 8, "codebook_size": 16, "decoder_dim": 32, "decoder_intermediate": 32, "decoder_layers": 1,
        "n_fft": 800, "discriminator_width": 2, "log_every": 1, "validate_every": 8, "save_every": 2, "device": "cpu",
    }  # fmt: skip
    return CodecSettings(run=run, **{**usual, **more})  # pyright: ignore[reportArgumentType]


def task(chosen: CodecSettings) -> CodecTask:
    training_set = Recordings(chosen.audio, chosen.sample_rate, chosen.crop)
    return CodecTask(chosen, training_set, Recordings(chosen.validation, chosen.sample_rate))


def test_a_batch_holds_pieces_of_the_recordings_and_their_places(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, batch=40))
    batch = model.batch(generator(0, 0))
    files = sorted(tones.glob("*.wav"))
    for wav, (index, frame) in zip(batch["wav"], batch["places"].tolist(), strict=True):
        whole = audio.load(files[index])[0][0]
        assert torch.equal(wav, whole[frame * 200 : frame * 200 + 2400])
    assert set(batch["places"][:, 0].tolist()) == {0, 1, 2}
    assert batch["places"][:, 1].max() > 20
    assert all(torch.equal(batch[name], model.batch(generator(0, 0))[name]) for name in batch)


def test_with_a_codec_to_start_from_its_codebook_is_there_from_the_first_step(tmp_path: Path, tones: Path) -> None:
    first = task(settings(tmp_path / "first", tones))
    torch.nn.init.normal_(first.codec.quantizer.embed)
    save(tmp_path / "codec.safetensors", first.codec.checkpoint())
    model = task(settings(tmp_path / "second", tones, seed=1, init=str(tmp_path / "codec.safetensors"), freeze_from=0))
    batch = model.batch(generator(1, 0))
    found = model.loss("codec", batch, StepContext(0, generator(2, 0)))
    assert found is not None
    assert found[1]["batch_codes"] > 0
    assert torch.equal(model.codec.quantizer.embed, first.codec.quantizer.embed)
    with pytest.raises(ValueError, match=r"`init` .*'n_fft': 1000"):
        train(settings(tmp_path / "third", tones, init=str(tmp_path / "codec.safetensors"), n_fft=1000))
    assert not (tmp_path / "third").exists()


def test_discriminators_and_freezing_start_at_their_steps(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, discriminator_from=2, freeze_from=6))
    moved = []
    for step in range(8):
        before = model.codec.quantizer.embed.clone()
        batch, context = model.batch(generator(1, step)), StepContext(step, generator(2, step))
        adversarial = model.loss("judges", batch, context)
        assert torch.equal(before, model.codec.quantizer.embed)
        total, found = model.loss("codec", batch, context)
        model.zero_grad(set_to_none=True)
        total.backward()
        moved.append(not torch.equal(before, model.codec.quantizer.embed))
        assert (adversarial is None) == ("adversarial" not in found) == (step < 2)
        assert (model.codec.encoder.model[-1].weight.grad is not None) == (step < 6)
        assert model.codec.decoder.out.weight.grad is not None
        assert (found["commitment"] > 0) == (3 <= step < 6)
    assert moved == [False] * 3 + [True] * 3 + [False] * 2
    whole = model.codec.encode(*audio.load(tones / "1.wav"))[0, 0]
    assert torch.equal(model._final_codes(torch.tensor([[1, 4]]))[0], whole[4:16])


def test_an_encoder_with_a_teacher_is_trained_alone_and_then_frozen(tmp_path: Path, tones: Path) -> None:
    chosen = settings(tmp_path, tones, encoder_only_until=4, quantize_from=4, freeze_from=4, start_crops=40)
    model, losses = task(chosen), []
    for step in range(6):
        batch, context = model.batch(generator(1, step)), StepContext(step, generator(2, step))
        total, found = model.loss("codec", batch, context)
        model.zero_grad(set_to_none=True)
        total.backward()
        taught = step < 4
        assert (model.codec.encoder.model[0].weight.grad is not None) == taught
        assert (model.codec.decoder.out.weight.grad is not None) == (not taught)
        assert ("taught" in found, "mel" in found) == (taught, not taught)
        losses.append(float(total.detach()))
        assert (len(model.means.counts.unique()) == 1) == taught
    assert losses[0] == pytest.approx(1, abs=0.3)
    assert model.codec.quantizer.embed.unique(dim=0).shape[0] > 8
    whole = model.codec.encode(*audio.load(tones / "1.wav"))[0, 0]
    assert torch.equal(model._final_codes(torch.tensor([[1, 4]]))[0], whole[4:16])


def test_the_learning_rate_falls_for_the_encoder_and_then_for_the_codec(tmp_path: Path, tones: Path) -> None:
    taught = settings(tmp_path, tones, steps=30, encoder_only_until=10, quantize_from=10)
    short, long = (settings(tmp_path, tones, steps=steps) for steps in (10, 20))
    assert [taught.lr_at(step) for step in range(30)] == [
        *(short.lr_at(step) for step in range(10)),
        *(long.lr_at(step) for step in range(20)),
    ]
    for wrong in ({"quantize_from": 9}, {"discriminator_from": 3}, {"freeze_from": 0}, {"encoder_only_until": 30}):
        with pytest.raises(ValueError, match="encoder_only_until"):
            settings(tmp_path, tones, **{"steps": 30, "encoder_only_until": 10, "quantize_from": 40, **wrong})
    with pytest.raises(ValueError, match="`whitening` must be from 0 to 1"):
        settings(tmp_path, tones, whitening=-0.5)
    with pytest.raises(ValueError, match=r"`whitening` must be 0 without encoder_only_until, but is 0\.5\."):
        settings(tmp_path, tones, whitening=0.5)
    assert settings(tmp_path, tones, whitening=0.5, encoder_only_until=2).whitening == 0.5


def test_discriminators_are_trained_on_the_decoders_input(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, discriminator_from=0, freeze_from=5))
    for step in (2, 4, 5):
        batch, context = model.batch(generator(1, step)), StepContext(step, generator(2, step))
        with torch.no_grad():
            at_inference, trained = model._vectors(batch, step), model._quantized(batch, context)[0]
        # At step 4 the codebook starts, which the discriminators see from the next step on.
        assert torch.equal(at_inference, trained) == (step != 4)
        loss = model.loss("judges", batch, context)
        assert loss is not None
        loss[0].backward()
        assert all(p.grad is None for p in model.codec.parameters())
        assert all(p.grad is not None for p in model.judges.parameters())


def test_codes_are_chosen_in_float32_whatever_else_is_rounded(tmp_path: Path, tones: Path) -> None:
    model = task(settings(tmp_path, tones, codebook_size=512, start_crops=64))
    latents = torch.randn(4, 8, 50, generator=generator(0, 0))
    with torch.autocast("cpu", torch.bfloat16):
        rounded, codes = model.codec.quantizer.encode(latents), model._coded(latents)[2]
    distances = torch.cdist(latents.mT.flatten(0, 1).double(), model.codec.quantizer.embed.double())
    assert torch.equal(codes.flatten(), distances.argmin(1))
    assert not torch.equal(rounded, codes)


def test_an_interrupted_adversarial_run_resumes_bit_for_bit(tmp_path: Path, tones: Path) -> None:
    plan = {"encoder_only_until": 2, "discriminator_from": 4, "freeze_from": 7, "accumulate": 2}
    whole = settings(tmp_path / "whole", tones, **plan)
    unbroken = task(whole)
    fit(unbroken, whole, Run.open(whole))
    stopped = settings(tmp_path / "stopped", tones, resume=True, **plan)
    fit_until_killed(task(stopped), stopped, "loss", lambda part, batch, at: at.step == 5 and part == "codec")
    assert step_of(stopped.run) == 4
    resumed = task(stopped)
    fit(resumed, stopped, Run.open(stopped))
    assert figures(stopped.run) == figures(whole.run)
    assert len(figures(whole.run)) == 8
    equal_ends(whole.run, stopped.run, ("judges", "codec"))


def test_from_recordings_to_a_codec_of_ones_own_zoo(tmp_path: Path, tones: Path) -> None:
    chosen = settings(
        tmp_path / "run", tones, steps=30, validate_every=15, discriminator_from=25, save_half=True, samples=1
    )
    found = train(chosen)
    rows = figures(chosen.run)
    assert float(rows[-1]["mel"]) < 0.8 * float(rows[0]["mel"])
    assert 1 <= float(rows[-1]["perplexity"]) <= 16
    assert 1 <= float(rows[-1]["used"]) <= 16
    assert float(rows[-1]["loss_judges"]) > 0
    assert found["step"] == 30
    codec = dp_slm.codec(zoo="mine", registry=chosen.registry_file)
    wav, _ = audio.load(tones / "0.wav")
    copy = codec.decode(codec.encode(wav, RATE))[0]
    shown = chosen.run / "samples" / "step-0000030"
    assert torch.allclose(audio.load(shown / "00-0.wav")[0], copy.clamp(-1, 1)[:, : wav.shape[1]], atol=5e-3)
    assert torch.allclose(audio.load(chosen.run / "samples" / "00-0.wav")[0], wav, atol=1e-4)
    assert (shown / "00-0.png").stat().st_size > 10_000
    mel = CodecTask(chosen, Recordings(chosen.audio, RATE), Recordings(chosen.validation, RATE)).spectral(
        copy[:, : wav.shape[1]], wav
    )[0]
    assert found["mel"] == pytest.approx(float(mel), rel=2e-2)


def test_the_command_prints_what_was_reached(tmp_path: Path, tones: Path, capsys) -> None:
    kept = settings(tmp_path / "run", tones, steps=2).kept()
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in kept.items() if value is not None)
    (tmp_path / "options.yaml").write_text("".join(lines))
    assert main(["train", "codec", "--config", str(tmp_path / "options.yaml")]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["zoo"], line["kind"], line["step"]) == ("mine", "wavtokenizer", 2)
    assert line["mel"] > 0


def test_what_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path, tones: Path) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    wrong = {
        "a multiple of the hop": {"crop": 2401},
        "above 1024 samples": {"crop": 800, "discriminator_from": 3, "start_crops": 32},
        "a latent for each code": {"start_crops": 1},
        "`decoder_dim` must be": {"decoder_dim": 33},
        "`samples` must be": {"samples": 0},
        "one at least as long": {"crop": 160_000},
        r"bad\.wav is not audio": {"audio": [str(tmp_path / "bad.wav")]},
        "no file, folder or pattern": {"validation": [str(tmp_path / "none")]},
    }
    for message, change in wrong.items():
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            train(settings(tmp_path / "run", tones, **change))
        assert not (tmp_path / "run").exists(), message


def test_recordings_at_other_rates_are_brought_to_one(tmp_path: Path, caplog) -> None:
    draw = generator(0, 0)
    audio.write(tmp_path / "a.wav", 0.1 * torch.randn(2, 22050, generator=draw), 22050)
    audio.write(tmp_path / "b.wav", 0.1 * torch.randn(100, generator=draw), 8000)
    found = Recordings([str(tmp_path)], RATE, 1000)
    assert "1 recordings shorter" in caplog.text
    assert found.lengths.tolist() == [16000]
    assert found.hours == pytest.approx(1 / 3600)
    whole = found.whole(0)
    piece = found.piece(0, 3200, 2000)
    assert len(piece) == 2000
    assert torch.allclose(piece[100:-100], whole[3300:5100], atol=1e-3)


def test_settings_of_a_run_are_those_it_was_made_with(tmp_path: Path, tones: Path) -> None:
    chosen = settings(tmp_path / "run", tones, steps=2)
    train(chosen)
    with pytest.raises(FileExistsError, match="--resume"):
        train(chosen)
    with pytest.raises(ValueError, match="of another model"):
        train(replace(chosen, resume=True, steps=4, dimension=4))
