"""Terms of a codec's loss over the frames of speech alone, and the input of its decoder."""

from __future__ import annotations

import torch
from torch import Tensor

from slmcore.layers.vq import Quantized
from slmzoo.training.tasks.distillation import LOSSES

__all__ = ["commitment_loss", "distillation_loss", "known_frames", "mixed"]


def known_frames(lengths: Tensor, hop: int, frames: int) -> Tensor:
    """Return which frames hold samples of a recording, (B, frames), bool, for `lengths` (B,) in samples."""
    return torch.arange(frames, device=lengths.device) * hop < lengths[:, None]


def commitment_loss(quantized: Quantized, known: Tensor) -> Tensor:
    """Mean squared distance of each level's input to its code vectors, over the known frames (B, T) and the levels.

    Its gradient reaches the encoder from every level.
    """
    vectors = quantized.parts.detach()
    # `parts` are straight-through: their gradient is that of the level's input.
    got = quantized.residuals + (quantized.parts - vectors)
    return (got - vectors).square().mT[:, known].mean()


def distillation_loss(axis: str, student: Tensor, teacher: Tensor, known: Tensor) -> Tensor:
    """Distillation loss of an axis for (B, T, D) of both, over the known frames.

    Unequal lengths are cut to the shorter one. Losses of single frames are over all known frames; on axis D the frames
    behind the end are zero, without effect on a cosine over time.
    """
    frames = min(student.shape[1], teacher.shape[1])
    student, teacher, known = student[:, :frames].float(), teacher[:, :frames].float(), known[:, :frames]
    if axis == "D":
        return LOSSES[axis](student * known[..., None], teacher * known[..., None])
    return LOSSES[axis](student[known][None], teacher[known][None])


def mixed(quantized: Tensor, latents: Tensor, share: float, noise: float, draw: torch.Generator) -> Tensor:
    """Return the decoder's input (B, D, T): quantised latents, and for a `share` of the items the latents themselves.

    To each of these normal noise is added with a standard deviation between 0 and `noise` times that of each channel.
    Source: Mimi, arXiv 2410.00037, section 3.3.2.
    """
    if not share:
        return quantized
    bare = (torch.rand(len(latents), generator=draw) < share).to(latents.device)[:, None, None]
    given = latents
    if noise:
        largest = torch.rand(len(latents), 1, 1, generator=draw) * noise
        drawn = (torch.randn(latents.shape, generator=draw) * largest).to(latents)
        given = latents + drawn * latents.detach().std((0, 2), keepdim=True)
    return torch.where(bare, given.to(quantized.dtype), quantized)
