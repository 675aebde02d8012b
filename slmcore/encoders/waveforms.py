"""From a waveform to frames: checks, resampling, batches, and windows for long audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slmcore.audio import check, resample
from slmcore.audio.checks import SHORTEST_SECONDS, conversion, shown
from slmcore.errors import must
from slmcore.layers.fast import switch

__all__ = ["Chunks", "Cut", "Windows", "collate", "cuts", "prepare", "windowed"]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windowing of audio too long for one pass."""

    whole: float = 60.0
    """Longest audio that is run as one segment, seconds."""
    window: float = 30.0
    """New audio of each window, seconds."""
    context: float = 2.0
    """Context on each side, whose frames are dropped, seconds."""


@dataclass(frozen=True, kw_only=True)
class Chunks:
    """Windowing of fairseq's readers: chunks encoded independently, like utterances."""

    whole: float = 100.0
    """Length of each chunk, seconds."""


@dataclass(frozen=True)
class Cut:
    """One window, in frames: run `first` to `last`, keep `start` to `end`."""

    first: int
    last: int
    start: int
    end: int


def prepare(wav: Tensor, sr: int, sample_rate: int, shortest: float = SHORTEST_SECONDS) -> Tensor:
    """Check a waveform (1, samples) or (samples,) and resample it: float32 (samples,) at `sample_rate`.

    Raises TypeError unless it is a floating-point tensor; ValueError for wrong axes, a rate that is not a whole number
    > 0, NaN or inf, and for less than `shortest` seconds.
    """
    if not isinstance(wav, Tensor) or not wav.is_floating_point():
        raise TypeError(must("wav", "a floating-point tensor (1, samples) in -1..1", shown(wav), conversion(wav)))
    wav = wav[None] if wav.ndim == 1 else wav
    check(wav, sr, shortest=shortest)
    return resample(wav.float(), sr, sample_rate)[0]


def collate(wavs: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Waveforms of any lengths as one on `device`, padded with zeros: (B, samples), and their lengths, int64 (B,).

    Of waveforms that are equally long the lengths are None: nothing is padded.
    """
    sizes = [len(wav) for wav in wavs]
    lengths = None if len(set(sizes)) == 1 else torch.tensor(sizes).to(device, non_blocking=True)
    if switch.on(device) and device.type == "cuda" and not any(wav.is_cuda for wav in wavs):
        return _pinned(wavs, max(sizes)).to(device, non_blocking=True), lengths
    return torch.nn.utils.rnn.pad_sequence([wav.to(device) for wav in wavs], batch_first=True), lengths


def _pinned(wavs: Sequence[Tensor], longest: int) -> Tensor:
    """Return the padded waveforms in memory that a GPU reads by itself while others wait for nothing."""
    batch = torch.empty(len(wavs), longest, pin_memory=True)
    for row, wav in zip(batch, wavs, strict=True):
        row[: len(wav)] = wav
        row[len(wav) :] = 0
    return batch


def cuts(frames: int, window: int, context: int) -> Iterator[Cut]:
    """Windows that keep each of `frames` frames once, each run with up to `context` frames more on both sides."""
    for start in range(0, frames, window):
        end = min(start + window, frames)
        yield Cut(max(0, start - context), min(frames, end + context), start, end)


def windowed(
    run: Callable[[Tensor], Tensor], padded: Tensor, hop: int, field: int, window: int, context: int
) -> Tensor:
    """Frames of a long waveform in bounded memory: (frames, dim), as many as in one pass.

    `run` maps padded samples to frames of `field` samples, `hop` apart; windows lie on that grid, so that the
    convolutional frontend gives the same frames as on the whole. `window` and `context` are in frames.
    """
    frames = (len(padded) - field) // hop + 1
    kept = []
    for cut in cuts(frames, window, context):
        segment = run(padded[cut.first * hop : (cut.last - 1) * hop + field])
        kept.append(segment[cut.start - cut.first : cut.end - cut.first].clone())
    return torch.cat(kept)
