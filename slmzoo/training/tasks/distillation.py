"""Distillation of a codec's first level from a speech encoder (SpeechTokenizer, arXiv 2308.16692, section 3.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from slmcore.checks import as_int
from slmcore.errors import must
from slmcore.files.checkpoint import read
from slmcore.files.registry import zoos
from slmcore.roles import Encoder
from slmzoo import hub
from slmzoo.convert import published
from slmzoo.systems import kinds
from slmzoo.training.options.distillation import DistillationOptions

__all__ = ["LOSSES", "Teacher", "cosine_loss", "d_axis_loss", "load_teacher", "on_frames", "t_axis_loss"]


def d_axis_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of -log sigmoid of the cosine of each dimension over time: student and teacher (B, T, D) to a scalar.

    Of unequal lengths the common frames count, for this and the other losses. Unrelated features have log 2.
    """
    a, b = _common(student, teacher)
    return -F.logsigmoid(F.cosine_similarity(a, b, dim=1)).mean()


def t_axis_loss(student: Tensor, teacher: Tensor, similarity: float = 1.0) -> Tensor:
    """Mean absolute difference, plus `similarity` times the mean of -log sigmoid of each frame's cosine.

    The published code names a function of torch that does not exist here; this is the loss that it means.
    """
    a, b = _common(student, teacher)
    return F.l1_loss(a, b) - similarity * F.logsigmoid(F.cosine_similarity(a, b, dim=2)).mean()


def cosine_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean cosine distance of the frames (Mimi, arXiv 2410.00037, section 3.3.2)."""
    a, b = _common(student, teacher)
    return 1 - F.cosine_similarity(a, b, dim=2).mean()


LOSSES = {"D": d_axis_loss, "T": t_axis_loss, "cosine": cosine_loss}
"""The losses by the name of their axis."""


def _common(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    if student.shape[2] != teacher.shape[2]:
        raise ValueError(must("student", f"of the teacher's {teacher.shape[2]} dimensions", tuple(student.shape)))
    frames = min(student.shape[1], teacher.shape[1])
    return student[:, :frames].float(), teacher[:, :frames].float()


def on_frames(features: Tensor, ratio: float) -> Tensor:
    """Bring features (B, T, D) to a rate that is `ratio` times lower: (B, about T / ratio, D).

    A whole ratio averages windows of two frames, one ratio apart and centred on the new frames; those at the ends are
    averaged over what there is of them. Other ratios are interpolated linearly between the centres of frames.
    """
    whole = round(ratio)
    if abs(ratio - whole) < 1e-6 and whole >= 1:
        window = 2 * whole - whole % 2
        pooled = F.avg_pool1d(features.mT, window, whole, (window - whole) // 2, count_include_pad=False)
        return features if whole == 1 else pooled.mT
    frames = max(1, round(features.shape[1] / ratio))
    places = ((torch.arange(frames, device=features.device) + 0.5) * ratio - 0.5).clamp(0, features.shape[1] - 1)
    before = places.floor().long()
    after = (before + 1).clamp(max=features.shape[1] - 1)
    return torch.lerp(features[:, before], features[:, after], (places - before)[:, None].to(features))


class Teacher:
    """Features of a frozen encoder at a codec's frame rate.

    It is no module, so that a task that holds it does not keep its weights in checkpoints. It follows the waveforms to
    their device.
    """

    def __init__(self, encoder: Encoder, frame_rate: float, layer: str | int | None = None) -> None:
        """`frame_rate`: of the codec, Hz. `layer`: 1-based, "mean" for the mean of all, None for the usual one.

        Raises ValueError for a layer that the encoder does not have.
        """
        self.encoder: Any = encoder
        self.ratio = encoder.frame_rate / frame_rate
        self.mean = layer == "mean"
        self.layer = None if self.mean or layer is None else _number(layer, encoder.num_layers)
        if self.mean and not hasattr(encoder, "mean_of_layers"):
            allowed = f"a number or left out for a {type(encoder).__name__}"
            raise ValueError(must("teacher_layer", allowed, layer, "It has no layers to average."))

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.encoder.dim

    @torch.no_grad()
    def __call__(self, wavs: Tensor, sr: int) -> Tensor:
        """Return the features (B, frames, dim), float32, of waveforms (B, samples) at `sr` Hz."""
        if isinstance(self.encoder, torch.nn.Module):
            self.encoder.to(wavs.device).eval()
        with torch.autocast(wavs.device.type, enabled=False):
            return on_frames(self._features(wavs.float(), sr), self.ratio)

    def _features(self, wavs: Tensor, sr: int) -> Tensor:
        encoder: Any = self.encoder
        if self.mean:
            return encoder.mean_of_layers(wavs, sr)
        return torch.stack(encoder.features_batch([wav[None] for wav in wavs], sr, self.layer)).float()


def load_teacher(options: DistillationOptions, frame_rate: float, registry: Path | None = None) -> Teacher | None:
    """Load the teacher that options name, for a codec of `frame_rate` Hz; None where they name none.

    `registry`: file of further zoos, if it exists. Raises FileNotFoundError or ValueError for what is no encoder.
    """
    if options.teacher is None:
        for name in ("teacher_variant", "teacher_layer"):
            if getattr(options, name) is not None:
                raise ValueError(must(name, "left out without teacher", getattr(options, name)))
        return None
    file = registry if registry is not None and registry.exists() else None
    if options.teacher in zoos(file):
        encoder = hub.encoder(zoo=options.teacher, variant=options.teacher_variant, registry=file)
    else:
        encoder = _of_file(Path(options.teacher))
    return Teacher(encoder, frame_rate, options.teacher_layer)


def _of_file(path: Path) -> Encoder:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is neither a zoo nor a model file. Name one of them in teacher.")
    kind = kinds()[read(path, None, published).kind]
    if kind.role != "encoder":
        raise ValueError(must("teacher", "an encoder", f"{path}, a {kind.role}"))
    return kind.load(path)


def _number(layer: str | int, layers: int) -> int:
    number = int(layer) if str(layer).isdigit() else None
    if as_int(number) not in range(1, layers + 1):
        raise ValueError(must("teacher_layer", f'from 1 to the encoder\'s {layers} layers, or "mean"', layer))
    return int(layer)
