from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st
from torch import Tensor

from slmcore.roles import Encoder
from slmzoo import hub
from slmzoo.training.options.distillation import DistillationOptions
from slmzoo.training.tasks.distillation import LOSSES, Teacher, load_teacher, on_frames, t_axis_loss
from tests.reference import goldens, tiny_zoo
from tests.reference.gslm_encoders import cpc_content, hubert_content, save_hubert

ROOT = Path(__file__).parents[4]
DEMO = ROOT / "slmzoo" / "demo"


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(goldens.seed() + seed).standard_normal(shape).astype(np.float32))


class Ramp(torch.nn.Module):
    """Encoder of 100 Hz whose features at frame t are t, t + 1 and t times the mean of the samples."""

    sample_rate, frame_rate, dim, num_layers, operating_point = 16000, 100.0, 3, 4, None

    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        t = torch.arange(wav.shape[1] // 160, dtype=torch.float32)
        return torch.stack([t, t + (layer or 1), t * wav.mean()], 1)

    def features_batch(self, wavs: Any, sr: int, layer: int | None = None) -> list[Tensor]:
        return [self.features(wav, sr, layer) for wav in wavs]


@pytest.mark.golden
def test_the_losses_are_the_goldens() -> None:
    values = goldens.load_json("speechtokenizer_losses")["values"]
    student = normal(3, 2, 15, 24)
    teacher = normal(4, 2, 14, 24) + 0.5 * student[:, :14]
    assert float(LOSSES["D"](student, teacher)) == pytest.approx(values["distill_d_axis"], rel=1e-5)
    assert float(LOSSES["T"](student, teacher)) == pytest.approx(values["distill_t_axis_meant"], rel=1e-5)
    half = float(t_axis_loss(student, teacher, similarity=0.5))
    assert half == pytest.approx(values["distill_t_axis_meant_lambda_sim_0.5"], rel=1e-5)


@given(batch=st.integers(1, 3), frames=st.integers(1, 6), more=st.integers(0, 3), dim=st.integers(1, 4))
@rules(max_examples=25, deadline=None)
def test_the_losses_are_those_of_plain_loops(batch: int, frames: int, more: int, dim: int) -> None:
    a, b = normal(5, batch, frames, dim), normal(6, batch, frames + more, dim)
    x, y = a.double().numpy(), b.double().numpy()[:, :frames]

    def cosine(u: np.ndarray, v: np.ndarray) -> float:
        return float(u @ v / np.sqrt(u @ u * (v @ v)))

    over_time = [cosine(x[i, :, d], y[i, :, d]) for i in range(batch) for d in range(dim)]
    over_dims = [cosine(x[i, t], y[i, t]) for i in range(batch) for t in range(frames)]
    wanted = {
        "D": np.mean([math.log1p(math.exp(-c)) for c in over_time]),
        "T": np.abs(x - y).mean() + np.mean([math.log1p(math.exp(-c)) for c in over_dims]),
        "cosine": 1 - np.mean(over_dims),
    }
    for axis, value in wanted.items():
        for pair in ((a, b), (b, a)):
            assert float(LOSSES[axis](*pair)) == pytest.approx(value, abs=1e-5), axis


@pytest.mark.parametrize("axis", LOSSES)
def test_a_student_that_follows_the_loss_comes_to_its_teacher(axis: str) -> None:
    teacher, student = normal(7, 2, 12, 6), torch.nn.Parameter(normal(8, 2, 12, 6))
    optimizer = torch.optim.Adam([student], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        LOSSES[axis](student, teacher).backward()
        optimizer.step()
    apart = torch.nn.functional.cosine_similarity(student.detach(), teacher, dim=1 if axis == "D" else 2)
    assert float(apart.min()) > 0.9


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="of the teacher's 4 dimensions"):
        LOSSES["D"](torch.zeros(1, 3, 5), torch.zeros(1, 3, 4))


@pytest.mark.parametrize(
    ("ratio", "wanted"),
    [
        (1.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        # Windows of four frames, two apart; the first and the last have three.
        (2.0, [1, 2.5, 4.5, 6]),
        # Windows of five, three apart, one frame beyond each end.
        (3.0, [1.5, 4]),
        (4.0, [2.5, 4.5]),
        # Frame centres at 0.25, 1.75, 3.25 ... of the old ones.
        (1.5, [0.25, 1.75, 3.25, 4.75, 6.25]),
        (0.5, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25, 5.75, 6.25, 6.75, 7]),
    ],
)
def test_features_are_brought_to_the_codecs_frames(ratio: float, wanted: list[float]) -> None:
    ramp = torch.arange(8.0)
    found = on_frames(torch.stack([ramp, 10 - 2 * ramp], 1).expand(2, 8, 2), ratio)
    assert found.shape == (2, len(wanted), 2)
    assert torch.allclose(found[1, :, 0], torch.tensor(wanted, dtype=torch.float32), atol=1e-5)
    assert torch.allclose(found[0, :, 1], 10 - 2 * found[1, :, 0], atol=1e-5)


def test_a_teacher_gives_each_waveform_its_features_at_the_codecs_rate() -> None:
    wavs = torch.stack([torch.full((1600,), 0.5), torch.full((1600,), -0.25)])
    for layer, more in ((None, 1), ("3", 3), (2, 2)):
        found = Teacher(Ramp(), 50.0, layer)(wavs, 16000)
        assert found.shape == (2, 5, 3)
        assert torch.allclose(found[1, :, 1] - found[1, :, 0], torch.full((5,), float(more)))
        assert torch.allclose(found[1, :, 2], -0.25 * found[1, :, 0])
    assert Teacher(Ramp(), 100.0)(wavs, 16000).shape == (2, 10, 3)


@pytest.mark.parametrize("layer", ["0", "5", "first", "-1", 0, 7])
def test_a_layer_that_is_not_there_is_refused(layer: str | int) -> None:
    with pytest.raises(ValueError, match=r"`teacher_layer` must be from 1 to the encoder's 4 layers"):
        Teacher(Ramp(), 50.0, layer)


def test_an_encoder_of_one_layer_has_no_mean() -> None:
    with pytest.raises(ValueError, match=r"a number or left out for a Ramp, but is 'mean'"):
        Teacher(Ramp(), 50.0, "mean")


@pytest.mark.parametrize("layer", [None, "2", "mean"])
def test_the_demos_encoder_teaches_from_its_zoo_and_from_its_file(layer: str | None) -> None:
    wavs = 0.1 * normal(9, 2, 4800)
    teachers = [
        load_teacher(DistillationOptions(teacher=name, teacher_layer=layer), 50.0)
        for name in ("demo", str(DEMO / "wavlm.safetensors"))
    ]
    encoder: Any = hub.encoder(zoo="demo")
    assert isinstance(encoder, Encoder)
    for teacher in teachers:
        assert teacher is not None
        found = teacher(wavs, 16000)
        assert (found.shape, found.dtype) == ((2, 15, teacher.dim), torch.float32)
        wanted = encoder.mean_of_layers(wavs, 16000)[1] if layer == "mean" else None
        wanted = encoder.features(wavs[1:], 16000, int(layer) if layer == "2" else None) if wanted is None else wanted
        assert torch.allclose(found[1], wanted, atol=1e-4)


def test_a_zoo_of_ones_own_teaches(tmp_path: Path) -> None:
    registry = tiny_zoo.write(tmp_path)
    teacher = load_teacher(DistillationOptions(teacher="tiny", teacher_layer="1"), 25.0, registry)
    assert teacher is not None
    assert teacher(0.1 * normal(9, 3, 6400), 16000).shape == (3, 10, teacher.dim)


def test_published_files_teach(tmp_path: Path) -> None:
    """HuBERT by the mean of its layers, as SpeechTokenizer has it, and CPC, whose frames are twice as many."""
    torch.save(cpc_content("gslm_cpc_small"), tmp_path / "cpc.pt")
    files = {
        "mean": save_hubert(tmp_path / "hubert.pt", hubert_content("gslm_hubert_small")),
        None: tmp_path / "cpc.pt",
    }
    wavs = 0.1 * normal(9, 2, 8000)
    for layer, file in files.items():
        teacher = load_teacher(DistillationOptions(teacher=str(file), teacher_layer=layer), 50.0)
        assert teacher is not None
        found, encoder = teacher(wavs, 16000), teacher.encoder
        if layer == "mean":
            assert torch.allclose(found[1], encoder.mean_of_layers(wavs[1:], 16000)[0], atol=1e-5)
            apart = [encoder.features(wavs[1:], 16000, n) - found[1] for n in range(1, encoder.num_layers + 1)]
            assert min(float(each.abs().max()) for each in apart) > 0.1
        else:
            frames = encoder.features(wavs[1:], 16000)
            assert encoder.frame_rate == 100.0
            assert torch.allclose(found[1, 2], frames[3:7].mean(0), atol=1e-4)
        assert found.shape[1] in (24, 25)


def test_what_is_no_teacher_is_refused(tmp_path: Path) -> None:
    assert load_teacher(DistillationOptions(), 50.0) is None
    for name in ("teacher_layer", "teacher_variant"):
        with pytest.raises(ValueError, match=f"`{name}` must be left out without teacher"):
            load_teacher(DistillationOptions(**{name: "2"}), 50.0)
    with pytest.raises(FileNotFoundError, match="neither a zoo nor a model file"):
        load_teacher(DistillationOptions(teacher=str(tmp_path / "none.pt")), 50.0)
    with pytest.raises(ValueError, match=r"an encoder, but is .*ulm\.safetensors, a language model"):
        load_teacher(DistillationOptions(teacher=str(DEMO / "ulm.safetensors")), 50.0)
