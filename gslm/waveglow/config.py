"""The sizes of a WaveGlow."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must

__all__ = ["WaveGlowConfig"]


@dataclass(frozen=True, kw_only=True)
class WaveGlowConfig(ModelConfig, describes="a WaveGlow"):
    """The sizes that a WaveGlow is built from; the defaults are those of the published file of 256 channels."""

    mels: int = 80
    """Bands of the mel spectrogram."""
    hop: int = 256
    """Samples for each frame of the spectrogram."""
    window: int = 1024
    """Samples that a frame reaches, at least `hop`."""
    flows: int = 12
    group: int = 8
    """Consecutive samples that form the channels of a step; divides `hop`."""
    early_every: int = 4
    """Flows between early outputs, at which channels leave the flow in training and enter it in synthesis."""
    early_size: int = 2
    """Channels of each early output."""
    layers: int = 8
    """Dilated convolutions in each flow."""
    channels: int = 256
    """Width of these convolutions."""
    kernel: int = 3

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            object.__setattr__(self, name, whole(name, value, 1))
        if self.hop % self.group:
            raise ValueError(must("group", f"a divisor of hop ({self.hop})", self.group))
        if self.window < self.hop:
            raise ValueError(must("window", f"at least hop ({self.hop})", self.window))
        if not self.kernel % 2:
            raise ValueError(must("kernel", "odd, so that it has a middle", self.kernel))
        widths = [self.width(flow) for flow in range(self.flows)]
        if widths[-1] < 2 or any(width % 2 for width in widths):
            raise ValueError(must("early_size", "such that every flow has an even number of channels", widths))

    def width(self, flow: int) -> int:
        """Return the number of channels that a flow works on."""
        return self.group - self.early_size * (flow // self.early_every)
