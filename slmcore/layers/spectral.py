"""Magnitude spectra of audio, and spectral losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["MELS", "LogMel", "SpectralLoss", "Spectrum"]

MELS = ((256, 32), (512, 64), (1536, 100))
"""Window length in samples and number of mel bands, at each scale of the loss."""


class Spectrum(nn.Module):
    """STFT magnitudes at linear frequencies and in mel bands."""

    FLOOR = 1e-4
    """Floor of magnitudes, on the scale on which a sine of amplitude 1 has 0.5."""

    bank: Tensor
    window: Tensor

    def __init__(self, sample_rate: int, n_fft: int, bands: int) -> None:
        """`n_fft`: samples of the Hann window. `bands`: mel bands; those too narrow for the window are dropped."""
        import torchaudio.functional as audio

        super().__init__()
        bank = audio.melscale_fbanks(n_fft // 2 + 1, 0.0, sample_rate / 2, bands, sample_rate, mel_scale="slaney")
        bank = bank[:, bank.sum(0) > 0]
        self.register_buffer("bank", bank / bank.sum(0), persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, wav: Tensor, hop: int, center: bool = True) -> tuple[Tensor, Tensor]:
        """Waveforms (B, samples) to magnitudes (B, frames, n_fft / 2 + 1) and (B, frames, bands).

        Windows are centred on every `hop`-th sample with reflected ends, or without `center` lie within the waveform.
        """
        n_fft = len(self.window)
        spectrum = torch.stft(wav, n_fft, hop, window=self.window, center=center, return_complex=True).mT
        magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt() / self.window.sum()
        return magnitude, magnitude @ self.bank

    def log(self, magnitude: Tensor) -> Tensor:
        """Return the natural logarithm of magnitudes, floored."""
        return (magnitude + self.FLOOR).log()


class LogMel(nn.Module):
    """Log-mel spectrum that vocoders and codecs are compared in, as in HiFi-GAN (arXiv 2010.05646, section 2.4)."""

    FLOOR = 1e-5
    """Magnitude below which all is silence."""

    bank: Tensor
    window: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 1024,
        hop: int = 256,
        bands: int = 80,
        *,
        win: int | None = None,
        f_max: float | None = None,
        scale: Literal["slaney", "htk"] = "slaney",
        power_floor: float = 1e-9,
    ) -> None:
        """`win`: samples of the Hann window, `n_fft` if None; `f_max`: Hz, half the rate if None; bands of equal area.

        `power_floor` is added to the power of each bin.
        """
        import torchaudio.functional as audio

        super().__init__()
        top, bins = sample_rate / 2 if f_max is None else f_max, n_fft // 2 + 1
        bank = audio.melscale_fbanks(bins, 0.0, top, bands, sample_rate, norm="slaney", mel_scale=scale)
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(win or n_fft), persistent=False)
        self.n_fft, self.hop, self.power_floor = n_fft, hop, power_floor

    def forward(self, wav: Tensor) -> Tensor:
        """Waveforms (B, samples), more than (n_fft - hop) / 2, to natural logarithms (B, bands, samples // hop)."""
        with torch.autocast(wav.device.type, enabled=False):
            edge = (self.n_fft - self.hop) // 2
            padded = F.pad(wav.float().unsqueeze(1), (edge, edge), mode="reflect").squeeze(1)
            stft = torch.stft(
                padded,
                self.n_fft,
                self.hop,
                len(self.window),
                window=self.window,
                center=False,
                return_complex=True,
            )
            magnitude = (stft.real.square() + stft.imag.square() + self.power_floor).sqrt()
            return (self.bank.T @ magnitude).clamp(min=self.FLOOR).log()


class SpectralLoss(nn.Module):
    """Multi-scale spectral loss: log-mel, and log and linear magnitude."""

    def __init__(self, sample_rate: int, mels: Sequence[tuple[int, int]] = MELS) -> None:
        """`mels`: pairs as in `MELS`; the hop is a quarter of the window."""
        super().__init__()
        self.scales = nn.ModuleList(_Scale(Spectrum(sample_rate, n_fft, bands)) for n_fft, bands in mels)

    def forward(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, samples) to (mel loss, linear-frequency loss), each the mean over the window lengths."""
        with torch.autocast(made.device.type, enabled=False):
            mels, stfts = zip(*(scale(made.float(), real.float()) for scale in self.scales), strict=True)
        return torch.stack(mels).mean(), torch.stack(stfts).mean()


class _Scale(nn.Module):
    """Return the losses at one window length."""

    def __init__(self, spectrum: Spectrum) -> None:
        super().__init__()
        self.spectrum = spectrum

    def forward(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        spectrum, hop = self.spectrum, len(self.spectrum.window) // 4
        (a, a_mel), (b, b_mel) = spectrum(made, hop), spectrum(real, hop)
        mel, logs = (F.l1_loss(spectrum.log(x), spectrum.log(y)) for x, y in ((a_mel, b_mel), (a, b)))
        return mel, logs * 0.5 + (a - b).norm() / (b.norm() + 1e-6) * 0.5
