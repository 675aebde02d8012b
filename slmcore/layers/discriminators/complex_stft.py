"""A discriminator of complex spectra, as in EnCodec (Défossez et al., arXiv 2210.13438, section 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmcore.layers.discriminators.normed import WeightNormed
from slmcore.layers.discriminators.outputs import ScaleOutput, through

__all__ = ["STFTDiscriminator", "complex_spectrum"]

_SLOPE = 0.1


class STFTDiscriminator(nn.Module):
    """Network on the complex spectrum, its real and imaginary parts as two channels."""

    def __init__(self, n_fft: int, width: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        # Time first: a layer sees ever more of it, at every second frequency of the layer before.
        first = nn.Conv2d(2, width, (3, 9), padding=(1, 4))
        wider = [nn.Conv2d(width, width, (3, 9), (1, 2), (d, 4), dilation=(d, 1)) for d in (1, 2, 4)]
        self.convs = nn.ModuleList(map(WeightNormed, [first, *wider, nn.Conv2d(width, width, 3, padding=1)]))
        self.conv_post = WeightNormed(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, wav: Tensor) -> ScaleOutput:
        """(B, samples) to logits (B, n) and maps (B, channels, T, frequencies)."""
        return through(self.convs, self.conv_post, self.spectrum(wav), _SLOPE)

    def spectrum(self, wav: Tensor) -> Tensor:
        """Return the STFT of (B, samples) as (B, 2, T, n_fft / 2 + 1), the windows around every hop."""
        return complex_spectrum(wav, self.get_buffer("window"))


def complex_spectrum(wav: Tensor, window: Tensor, center: bool = True) -> Tensor:
    """Return the STFT of (B, samples) as (B, 2, T, n_fft / 2 + 1); white noise of power one has power one.

    The hop is a quarter of the window; without `center` the windows lie within the waveform.
    """
    size = len(window)
    with torch.autocast(wav.device.type, enabled=False):
        stft = torch.stft(wav.float(), size, size // 4, window=window, center=center, return_complex=True)
        return torch.view_as_real(stft / window.norm()).permute(0, 3, 2, 1)
