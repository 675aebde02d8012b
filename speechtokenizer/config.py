"""The sizes of a SpeechTokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must
from slmcore.layers.seanet import SEANetConfig

__all__ = ["SpeechTokenizerConfig"]


@dataclass(frozen=True, kw_only=True)
class SpeechTokenizerConfig(ModelConfig, describes="a SpeechTokenizer"):
    """The sizes that a SpeechTokenizer is built from; the defaults are the published ones."""

    sample_rate: int = 16000
    """Samples per second."""
    strides: tuple[int, ...] = (2, 4, 5, 8)
    """Downsampling factors in the encoder's order (published files list the decoder's); their product is the hop."""
    n_filters: int = 64
    """Channels at the waveform's rate; each stage doubles them."""
    dimension: int = 1024
    """Size of a code vector."""
    semantic_dimension: int = 768
    """Size of the teacher's features; if equal to `dimension`, the first level's vectors are not projected."""
    bidirectional: bool = True
    """Whether the encoder's LSTM is bidirectional."""
    dilation_base: int = 2
    residual_kernel: int = 3
    residual_layers: int = 1
    """Residual blocks in each stage."""
    lstm_layers: int = 2
    activation: str = "ELU"
    """"ELU" or "Snake"."""
    codebook_size: int = 1024
    num_codebooks: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "strides", tuple(self.strides))
        for name in ("sample_rate", "semantic_dimension", "codebook_size", "num_codebooks"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 1))
        if self.seanet.hop > self.sample_rate:
            raise ValueError(must("strides", "of a product of at most sample_rate", self.strides))

    @property
    def seanet(self) -> SEANetConfig:
        """Sizes of the encoder and the decoder, which are not causal and pad by reflection."""
        return SEANetConfig(
            strides=self.strides,
            n_filters=self.n_filters,
            dimension=self.dimension,
            residual_layers=self.residual_layers,
            dilation_base=self.dilation_base,
            residual_kernel=self.residual_kernel,
            activation=self.activation,
            lstm_layers=self.lstm_layers,
            bidirectional=self.bidirectional,
        )
