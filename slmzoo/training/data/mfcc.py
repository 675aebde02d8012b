"""Utterance-normalised MFCCs with deltas, clustered for an encoder's first targets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torchaudio.functional as audio
from torch import Tensor

__all__ = ["cepstra"]

_FIELD, _HOP, _RATE = 400, 320, 16000
_MELS, _CEPSTRA = 40, 13


def cepstra(wav: Tensor) -> Tensor:
    """Compute MFCCs with deltas and double deltas on the encoder's frames: (samples,) at 16 kHz -> (frames, 39).

    Each coefficient has mean 0 and variance 1 over the utterance, which removes much of the speaker and the channel.
    Energies are floored at 50 dB below the utterance's peak.
    """
    padding = (_FIELD - _HOP) // 2
    frames = F.pad(wav.float(), (padding, padding)).unfold(0, _FIELD, _HOP)
    power = torch.fft.rfft(frames * torch.hann_window(_FIELD), n=512).abs().square()
    mel = power @ audio.melscale_fbanks(257, 60.0, 7600.0, _MELS, _RATE)
    log = mel.clamp(min=max(1e-10, 1e-5 * float(mel.max()))).log()
    static = log @ audio.create_dct(_CEPSTRA, _MELS, "ortho")
    static = (static - static.mean(0)) / (static.std(0, correction=0) + 1e-5)
    slope = audio.compute_deltas(static.T)
    return torch.cat([static.T, slope, audio.compute_deltas(slope)]).T
