"""Atomic writing of 16-bit wavs."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor

from slmcore.audio.checks import shown
from slmcore.errors import must
from slmcore.files import atomic

__all__ = ["wav_bytes", "write"]


def write(path: str | Path, wav: Tensor, sr: int) -> int:
    """Write a wav (channels, samples) or (samples,) as 16-bit PCM; the file appears only when complete.

    Returns how many samples were clipped to +-1. A wav of length zero is a valid file. Raises ValueError unless the
    audio is finite floats, OSError if the folder is missing or cannot be written.
    """
    path = Path(path)
    wav = wav.detach().cpu().float()
    wav = wav[None] if wav.ndim == 1 else wav
    if wav.ndim != 2 or not torch.isfinite(wav).all():
        raise ValueError(must("wav", "finite audio (channels, samples)", shown(wav), f"{path} was not written."))
    atomic.write_bytes(path, wav_bytes(wav, sr))
    return int((wav.abs() > 1).sum())


def wav_bytes(wav: Tensor, sr: int) -> bytes:
    """Return a wav file of 16-bit PCM of audio (channels, samples), clipped to +-1."""
    import soundfile

    samples = (wav.detach().cpu().float().clamp(-1, 1) * 32767).round().to(torch.int16).T.contiguous().numpy()
    content = io.BytesIO()  # a wav's header is written last, and a pipe cannot go back
    soundfile.write(content, samples, int(sr), format="WAV", subtype="PCM_16")
    return content.getvalue()
