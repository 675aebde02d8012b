"""The sizes of a Tacotron 2."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must

__all__ = ["TacotronConfig"]


@dataclass(frozen=True, kw_only=True)
class TacotronConfig(ModelConfig, describes="a Tacotron 2"):
    """The sizes that a Tacotron 2 is built from; the defaults are NVIDIA's."""

    symbols: int
    """Rows of the embedding: padding, the lines of code_dict, and the ends of a sequence where they have ids."""
    symbol_dim: int = 512
    encoder_dim: int = 512
    """Width of the encoder's output, half of it for each direction."""
    encoder_convolutions: int = 3
    encoder_kernel: int = 5
    attention_rnn_dim: int = 1024
    attention_dim: int = 128
    location_filters: int = 32
    location_kernel: int = 31
    decoder_rnn_dim: int = 1024
    prenet_dim: int = 256
    mels: int = 80
    """Bands of the mel spectrogram."""
    postnet_dim: int = 512
    postnet_convolutions: int = 5
    postnet_kernel: int = 5
    observed_classes: int = 0
    """Labels of an observed attribute such as the speaker, 0 for none."""
    observed_dim: int = 0
    latent_dim: int = 0
    """Width of a latent attribute; its mean, zero, at inference."""
    gate_threshold: float = 0.5
    """Threshold of the end probability."""
    max_frames: int = 2000
    """Maximum number of frames."""
    sample_rate: int = 22050
    """Sample rate of the speech, Hz."""
    frame_rate: float = 50.0
    """Frames per second of the units, which published files do not state."""

    def __post_init__(self) -> None:
        least = dict.fromkeys(asdict(self), 1) | {"observed_classes": 0, "observed_dim": 0, "latent_dim": 0}
        for name in set(least) - {"gate_threshold", "frame_rate"}:
            object.__setattr__(self, name, whole(name, getattr(self, name), least[name]))
        if self.encoder_dim % 2:
            raise ValueError(must("encoder_dim", "even, for two directions", self.encoder_dim))
        for name in ("encoder_kernel", "location_kernel", "postnet_kernel"):
            if not getattr(self, name) % 2:
                raise ValueError(must(name, "odd, so that it has a middle", getattr(self, name)))
        for name in ("gate_threshold", "frame_rate"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(must(name, "a finite number > 0", getattr(self, name)))

    @property
    def attributes(self) -> int:
        """Width of the attributes, inputs of the decoder along with the context."""
        return self.observed_dim + self.latent_dim
