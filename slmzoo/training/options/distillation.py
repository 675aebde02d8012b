"""Options of distillation from a speech encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = ["DistillationOptions"]


@dataclass(frozen=True, kw_only=True)
class DistillationOptions:
    """Distillation of a codec's first level from a speech encoder."""

    title: ClassVar[str] = "distillation"

    teacher: str | None = None
    """Encoder that the first level is distilled from: a model file, or a zoo, such as demo, gslm, dp-slm or that of
    --registry. No distillation if left out."""
    teacher_variant: str | None = None
    """Variant where the teacher's zoo has several encoders, such as gslm's hubert and w2v2."""
    teacher_layer: str | None = None
    """Block of the teacher, 1-based, or "mean" for the mean of all; the encoder's usual one if left out."""
    distillation_axis: Literal["D", "T", "cosine"] = "D"
    """D compares each dimension over time (SpeechTokenizer), T each frame over the dimensions, with their absolute
    difference; cosine is T's cosine distance alone (Mimi)."""
