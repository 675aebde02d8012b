"""Conversion of framewise units of a whole batch to `Units` of each utterance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from slmcore.units import OperatingPoint, Units

__all__ = ["segments"]


def segments(
    framewise: Tensor, lengths: Sequence[int], frame_rate: float, operating_point: OperatingPoint | None = None
) -> list[Units]:
    """Deduplicate units within each utterance.

    `framewise`: int64 (sum of lengths,), utterances one after the other; `lengths`: frames of each; `frame_rate`:
    frames per second. All utterances are processed at once, so that a GPU is waited for twice in all, not once per
    utterance.
    """
    ends = torch.tensor(lengths).cumsum(0).to(framewise.device, non_blocking=True)
    starts_here = torch.ones_like(framewise, dtype=torch.bool)
    torch.ne(framewise[1:], framewise[:-1], out=starts_here[1:])
    starts_here.index_fill_(0, ends[:-1], True)
    starts = starts_here.nonzero()[:, 0]
    durations = torch.diff(starts, append=starts.new_full((1,), len(framewise)))
    counts = torch.diff(starts_here.cumsum(0)[ends - 1], prepend=starts.new_zeros(1)).tolist()
    parts = zip(framewise[starts].split(counts), durations.split(counts), strict=True)
    return [Units(units, lasting, frame_rate, operating_point) for units, lasting in parts]
