"""The multi-scale discriminator of MelGAN in HiFi-GAN's form (Kong et al. 2020, arXiv 2010.05646, section 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn.functional import avg_pool1d

from slmcore.layers.discriminators.normed import SpectralNormed, WeightNormed
from slmcore.layers.discriminators.outputs import ScaleOutput, through

__all__ = ["MultiScaleDiscriminator"]

WIDTHS = (128, 128, 256, 512, 1024, 1024, 1024)
"""Channels of the published layers."""

_SLOPE = 0.1
_KERNELS = (15, 41, 41, 41, 41, 41, 5)
_STRIDES = (1, 2, 2, 4, 4, 1, 1)
_GROUPS = (1, 4, 16, 16, 16, 16, 1)


class MultiScaleDiscriminator(nn.Module):
    """Networks on the waveform and on its averages, the first under spectral norm.

    State dicts have the published keys.
    """

    def __init__(self, scales: int = 3, widths: Sequence[int] = WIDTHS) -> None:
        """`widths`: channels of the seven layers of each network, multiples of 16 from the second on."""
        super().__init__()
        norms = (SpectralNormed, *(WeightNormed for _ in range(scales - 1)))
        self.discriminators = nn.ModuleList(_Scale(norm, widths) for norm in norms)

    def forward(self, wav: Tensor) -> list[ScaleOutput]:
        """Waveforms (B, samples) to the output of each network; each averages further what the one before it got."""
        x, outputs = wav.unsqueeze(1), []
        for scale, network in enumerate(self.discriminators):
            x = avg_pool1d(x, 4, 2, padding=2) if scale else x
            outputs.append(network(x))
        return outputs


class _Scale(nn.Module):
    """Grouped, strided convolutions on a waveform."""

    def __init__(self, norm: Callable[[nn.Conv1d], nn.Module], widths: Sequence[int]) -> None:
        super().__init__()
        sizes = zip((1, *widths[:-1]), widths, _KERNELS, _STRIDES, _GROUPS, strict=True)
        self.convs = nn.ModuleList(
            norm(nn.Conv1d(into, out, kernel, stride, kernel // 2, groups=groups))
            for into, out, kernel, stride, groups in sizes
        )
        self.conv_post = norm(nn.Conv1d(widths[-1], 1, 3, padding=1))

    def forward(self, x: Tensor) -> ScaleOutput:
        """(B, 1, samples) to logits (B, n) and maps (B, channels, n)."""
        return through(self.convs, self.conv_post, x, _SLOPE)
