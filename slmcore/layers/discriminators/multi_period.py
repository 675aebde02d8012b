"""The multi-period discriminator of HiFi-GAN (Kong et al. 2020, arXiv 2010.05646, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import pad

from slmcore.layers.discriminators.normed import WeightNormed
from slmcore.layers.discriminators.outputs import ScaleOutput, through

__all__ = ["PERIODS", "MultiPeriodDiscriminator", "PeriodDiscriminator"]

PERIODS = (2, 3, 5, 7, 11)
"""Periods of the published discriminator, samples."""
WIDTHS = (32, 128, 512, 1024, 1024)
"""Channels of its layers."""

_SLOPE = 0.1
_STRIDE = 3
"""Stride of all layers but the last hidden one."""


class MultiPeriodDiscriminator(nn.Module):
    """A network for each period; state dicts have the published keys."""

    def __init__(self, periods: Sequence[int] = PERIODS, widths: Sequence[int] = WIDTHS) -> None:
        """`periods`: samples; `widths`: channels of the layers of each network."""
        super().__init__()
        self.discriminators = nn.ModuleList(PeriodDiscriminator(period, widths) for period in periods)

    def forward(self, wav: Tensor) -> list[ScaleOutput]:
        """Waveforms (B, samples), at least the longest period, to the output of each network."""
        return [network(wav) for network in self.discriminators]


class PeriodDiscriminator(nn.Module):
    """Network on the waveform folded to rows of `period` samples."""

    def __init__(self, period: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.period = period
        strides = [*[_STRIDE] * (len(widths) - 1), 1]
        self.convs = nn.ModuleList(
            WeightNormed(nn.Conv2d(into, out, (5, 1), (stride, 1), (2, 0)))
            for into, out, stride in zip((1, *widths), widths, strides, strict=False)
        )
        self.conv_post = WeightNormed(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wav: Tensor) -> ScaleOutput:
        """(B, samples) to logits (B, n) and maps (B, channels, T, period)."""
        padded = pad(wav.unsqueeze(1), (0, -wav.shape[1] % self.period), mode="reflect")
        return through(self.convs, self.conv_post, padded.unflatten(2, (-1, self.period)), _SLOPE)
