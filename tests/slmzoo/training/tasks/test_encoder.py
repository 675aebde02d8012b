from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from slmcore import audio
from slmzoo.cli import main
from slmzoo.systems import dp_slm
from slmzoo.training.data.augment import masked_spans, speed_perturbed, with_gain_and_noise
from slmzoo.training.data.mfcc import cepstra
from slmzoo.training.data.pseudo_labels import read_targets
from slmzoo.training.data.recordings import Recordings
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks.encoder import EncoderSettings, EncoderTask, train
from tests.reference.runs import equal_ends, figures


def tones(seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A wav that jumps between two pitches every fifth of a second, and which of the two each frame has."""
    time = torch.arange(int(16000 * seconds)) / 16000
    high = (time * 5).long() % 2
    return torch.sin(time * 2 * torch.pi * (300 + 900 * high)) / 4, high[160::320][: len(time) // 320]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`wavs/<voice>/<n>.wav` and `targets/<voice>/<n>.npy`."""
    folder = tmp_path_factory.mktemp("material")
    for voice, n, seconds in (("a", 0, 1.0), ("a", 1, 0.31), ("b", 0, 0.8), ("b", 2, 0.9)):
        wav, target = tones(seconds)
        for kind in ("wavs", "targets"):
            (folder / kind / voice).mkdir(parents=True, exist_ok=True)
        audio.write(folder / "wavs" / voice / f"{n}.wav", wav, 16000)
        np.save(folder / "targets" / voice / f"{n}.npy", target.numpy().astype(np.int16))
    return folder


def settings(run: Path, material: Path, **more: object) -> EncoderSettings:
    usual = {
        "audio": [str(material / "wavs")], "targets": material / "targets", "clusters": 2, "steps": 6, "batch": 4,
        "lr": 5e-3, "warmup": 5, "crop": 20, "conv_layers": ("8,20,10", "8,8,8", "8,4,4"), "dim": 16, "ffn_dim": 32,
        "heads": 2, "layers": 2, "conv_pos": 8, "conv_pos_groups": 2, "num_buckets": 16, "max_distance": 40,
        "log_every": 1, "validate_every": 6, "save_every": 3, "device": "cpu",
    }  # fmt: skip
    return EncoderSettings(run=run, **{**usual, **more})  # pyright: ignore[reportArgumentType]


def task(chosen: EncoderSettings) -> EncoderTask:
    recordings = Recordings(chosen.audio, 16000)
    lengths = [length // 320 for length in recordings.lengths.tolist()]
    assert chosen.targets is not None
    return EncoderTask(chosen, recordings, read_targets(recordings.files, chosen.targets, lengths, chosen.clusters))


def test_it_learns_what_is_behind_the_mask_and_joins_the_zoo(tmp_path: Path, material: Path) -> None:
    chosen = settings(tmp_path / "run", material, steps=60, validate_every=60, held_out=1, name="small", save_half=True)
    found = train(chosen)
    rows = figures(chosen.run)
    assert float(rows[-1]["loss"]) < 0.75 * float(rows[0]["loss"])
    assert found["encoder"] == "small"
    assert found["step"] == 60
    assert found["unmasked"] < 0.35
    encoder = dp_slm.wavlm(zoo="mine", registry=chosen.registry_file)[0]
    assert encoder.operating_point is not None
    assert (encoder.operating_point.encoder, encoder.operating_point.zoo) == ("small", "mine")
    assert encoder.features(*audio.load(material / "wavs" / "a" / "0.wav")).shape == (50, 16)


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, material: Path, monkeypatch) -> None:
    whole, stopped = settings(tmp_path / "whole", material), settings(tmp_path / "stopped", material, resume=True)
    train(whole)
    loss = EncoderTask.loss

    def dies(self: EncoderTask, part: str, batch: dict, context: StepContext) -> object:
        if context.step == 4:
            raise RuntimeError("killed")
        return loss(self, part, batch, context)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(EncoderTask, "loss", dies)
        train(stopped)
    train(stopped)
    assert figures(stopped.run) == figures(whole.run)
    equal_ends(whole.run, stopped.run)


def test_two_iterations_cluster_cepstra_and_then_features(tmp_path: Path, material: Path) -> None:
    first = settings(tmp_path / "first", material, targets=None, frame_fraction=1.0)
    train(first)
    made = {path.relative_to(first.run / "targets") for path in (first.run / "targets").rglob("*.npy")}
    assert made == {Path("a/0.npy"), Path("a/1.npy"), Path("b/0.npy"), Path("b/2.npy")}
    clusters = np.load(first.run / "targets" / "a" / "0.npy")
    high = tones(1.0)[1].numpy()
    # Two pitches and two clusters: away from the jumps, one is the other.
    assert max(np.mean(clusters == high), np.mean(clusters != high)) > 0.6
    teacher = first.run / "wavlm.safetensors"
    second = settings(tmp_path / "second", material, targets=None, teacher=teacher, teacher_layer=1, frame_fraction=1.0)
    train(second)
    encoder = dp_slm.wavlm(zoo="mine", registry=first.registry_file)[0]
    files = sorted((material / "wavs").rglob("*.wav"))
    x = torch.cat([encoder.features(*audio.load(file), layer=1) for file in files])
    names = [f"{file.parent.name}/{file.stem}.npy" for file in files]
    target = torch.from_numpy(np.concatenate([np.load(second.run / "targets" / name) for name in names])).long()
    centres = torch.stack([x[target == i].mean(0) for i in range(2)])
    assert len(target) == len(x) == 150
    assert (torch.cdist(x, centres).argmin(1) == target).float().mean() > 0.97
    train(replace(second, resume=True, steps=7))


def test_the_loss_is_the_cross_entropy_of_hidden_and_seen_frames(tmp_path: Path, material: Path) -> None:
    model = task(settings(tmp_path, material, unmasked_weight=0.25))
    batch = model.batch(generator(0, 0))
    loss, found = model.loss("encoder", batch, StepContext(0, generator(0, 1)))
    hidden, seen, hits = [], [], []
    for i, frames in enumerate((batch["targets"] >= 0).sum(1).tolist()):
        wav = batch["wav"][i : i + 1, : frames * 320]
        x = model.encoder(wav, mask=batch["mask"][i : i + 1, :frames])
        for t, logits in enumerate(model.head(x[0])):
            right = int(batch["targets"][i, t])
            (hidden if batch["mask"][i, t] else seen).append(-logits.log_softmax(0)[right].item())
            if batch["mask"][i, t]:
                hits.append(int(logits.argmax()) == right)
    assert float(found["masked"]) == pytest.approx(np.mean(hidden), rel=1e-4)
    assert float(found["unmasked"]) == pytest.approx(np.mean(seen), rel=1e-4)
    assert float(found["hit"]) == pytest.approx(np.mean(hits))
    assert loss.item() == pytest.approx(np.mean(hidden) + 0.25 * np.mean(seen), rel=1e-4)


def test_pieces_bring_their_own_targets_and_held_out_ones_never_come(tmp_path: Path, material: Path) -> None:
    quiet = {"quietest_gain": 1.0, "loudest_gain": 1.0, "noise": 0.0, "warp": 1.0}
    model = task(settings(tmp_path, material, held_out=2, batch=30, **quiet))
    assert list(model.validation()) == [0, 2]
    batch = model.batch(generator(0, 0))
    assert batch["wav"].shape[1] == batch["lengths"].max() <= 20 * 320
    shown = [model._recordings.whole(i) for i in (1, 3)]
    for row, length, target in zip(batch["wav"], batch["lengths"].tolist(), batch["targets"], strict=True):
        frames = length // 320
        assert (target[frames:] == -1).all()
        long = [wav for wav in shown if len(wav) >= length]
        assert any((wav.unfold(0, length, 320) == row[:length]).all(1).any() for wav in long)
        crossings = (row[: frames * 320].view(frames, 320).sign().diff().abs() > 1).sum(1)
        # 300 Hz crosses zero 12 times in 20 ms, 1200 Hz 48 times.
        assert ((crossings > 25).long() == target[:frames]).float().mean() > 0.9


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_a_piece_that_is_played_faster_is_higher_and_takes_its_targets_with_it(factor: float) -> None:
    wav, target = tones(2.0)
    piece, moved = speed_perturbed(wav, target, factor)
    assert len(moved) == round(len(target) / factor)
    assert len(piece) == 320 * len(moved)
    assert abs(float(moved.float().mean() - target.float().mean())) < 0.05
    crossings = ((piece + 1e-4).view(-1, 320).sign().diff().abs() > 1).sum(1)
    assert ((crossings > 25 * factor).long() == moved).float().mean() > 0.85
    assert abs(float(crossings[moved == 0].float().median()) / 12 - factor) < 0.15


def test_levels_and_noise_are_those_asked_for() -> None:
    piece, draw = torch.sin(torch.arange(4000) / 7), generator(0, 0)
    gains, noises = [], []
    for _ in range(300):
        made = with_gain_and_noise(piece, 0.3, 0.25, 2.0, draw)
        gains.append(float(made @ piece / (piece @ piece)))
        noises.append(float((made / gains[-1] - piece).norm() / piece.norm()))
    assert 0.24 < min(gains) < 0.3
    assert 1.8 < max(gains) < 2.1
    assert float(np.median(gains)) == pytest.approx((0.25 * 2) ** 0.5, rel=0.15)
    assert 0.4 < np.mean(np.array(noises) > 1e-4) < 0.6
    assert 0.2 < max(noises) < 0.33


def test_masks_are_spans_of_the_wanted_share() -> None:
    mask = masked_spans(torch.Size([200, 100]), 0.065, 10, generator(0, 0))
    assert 0.4 < mask.float().mean() < 0.6
    assert mask.any(1).all()
    for row in mask:
        values, counts = torch.unique_consecutive(row, return_counts=True)
        inner = values & (torch.arange(len(values)) > 0) & (torch.arange(len(values)) < len(values) - 1)
        assert (counts[inner] >= 10).all()


@pytest.mark.parametrize("samples", [320, 5000, 16159])
def test_cepstra_lie_on_the_encoders_frames_and_forget_level_and_voice(samples: int, tmp_path, material) -> None:
    wav = torch.randn(samples, generator=generator(0, 0))
    found = cepstra(wav)
    assert found.shape == (task(settings(tmp_path, material)).encoder.num_frames(samples), 39)
    torch.testing.assert_close(cepstra(wav * 0.01), found, atol=1e-2, rtol=1e-2)
    if samples > 320:
        torch.testing.assert_close(found[:, :13].mean(0), torch.zeros(13), atol=1e-4, rtol=0)
    assert torch.isfinite(cepstra(torch.zeros(samples))).all()


def test_the_first_layer_starts_as_a_filterbank(tmp_path: Path, material: Path) -> None:
    model = task(settings(tmp_path, material, conv_layers=("16,256,20", "8,8,4", "8,4,4")))
    weight = model.encoder.frontend[0].weight.detach()[:, 0]
    peaks = torch.fft.rfft(weight, n=4096).abs().argmax(1) * 16000 / 4096
    assert peaks.tolist()[:8] == sorted(peaks.tolist()[:8])
    mels = 2595 * (1 + peaks[1:7] / 700).log10()
    assert float(mels.diff().std() / mels.diff().mean()) < 0.05
    assert torch.allclose(F.cosine_similarity(weight[1:7], weight[9:15]), torch.zeros(6), atol=0.05)


def test_the_command_takes_layers_and_prints_what_was_reached(tmp_path: Path, material: Path, capsys) -> None:
    kept = settings(tmp_path / "run", material, steps=2, held_out=1, validate_every=2).kept()
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in kept.items() if value is not None)
    (tmp_path / "options.yaml").write_text("".join(lines))
    assert main(["train", "encoder", "--config", str(tmp_path / "options.yaml")]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["kind"], line["encoder"], line["step"]) == ("wavlm", "wavlm", 2)


def test_what_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path, material: Path) -> None:
    wrong = {
        "strides whose product is 320": {"conv_layers": ("8,20,10",)},
        "channels,kernel,stride": {"conv_layers": ("8,20",)},
        "even number of channels": {"conv_layers": ("9,20,10", "8,8,8", "8,4,4")},
        "contradict each other": {"teacher": Path("x")},
        "`mask_start` must be": {"mask_start": 0.0},
        "`warp` must be": {"warp": 0.9},
        "`held_out` must be below": {"held_out": 4},
        "`clusters` must be at most 5, .* --frame-fraction 0.03 draws from 4 recordings, but is 6": {
            "targets": None,
            "frame_fraction": 0.03,
            "clusters": 6,
        },
        "`teacher_layer` must be left out without teacher": {"teacher_layer": 1},
        "No checkpoint at": {"targets": None, "teacher": tmp_path / "none.safetensors"},
    }
    for message, change in wrong.items():
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            train(settings(tmp_path / "run", material, **change))
        assert not (tmp_path / "run").exists(), message


def test_targets_that_do_not_fit_are_named(tmp_path: Path, material: Path) -> None:
    files = Recordings([str(material / "wavs")], 16000).files
    lengths = [50, 15, 40, 45]
    with pytest.raises(ValueError, match=r"0\.npy.* must be of 51 frames"):
        read_targets(files, material / "targets", [51, *lengths[1:]], 2)
    with pytest.raises(ValueError, match=r"0\.npy.*clusters"):
        read_targets(files, material / "targets", lengths, 1)
    with pytest.raises(ValueError, match=r"2\.wav has no targets"):
        read_targets(files, material / "wavs", lengths, 2)
