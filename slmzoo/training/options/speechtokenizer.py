"""Options of `slmzoo train speechtokenizer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from slmzoo.arguments import flag
from slmzoo.training.options.rvq import RVQOptions

__all__ = ["SpeechTokenizerOptions"]


@dataclass(frozen=True, kw_only=True)
class SpeechTokenizerLossOptions(RVQOptions):
    """Losses of a SpeechTokenizer, and its published recipe."""

    title: ClassVar[str] = "weights of the losses"

    steps: int = 470_000
    batch: int = 6
    lr: float = 1e-4
    last_lr: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1000.0
    crop: int = 48_000
    discriminators: tuple[str, ...] = ("multi-period", "multi-scale", "multi-scale-stft")
    reduction: Literal["mean", "sum"] = "sum"
    matching_logits: bool = flag(True)
    commitment: float = 10.0
    feature_matching: float = 2.0
    distillation: float = 120.0
    waveform: float = 500.0
    """Weight of the difference of samples."""
    mels: tuple[float, float, float, float] = (45.0, 1.0, 1.0, 1.0)
    """Weights of the differences of log-mel spectra, of windows of 1024, 512, 256 and 128 samples."""


@dataclass(frozen=True, kw_only=True)
class SpeechTokenizerOptions(SpeechTokenizerLossOptions):
    """Training of a SpeechTokenizer."""

    title: ClassVar[str] = "model sizes"

    sample_rate: int = 16_000
    """Samples per second."""
    strides: tuple[int, ...] = (2, 4, 5, 8)
    """Downsampling factors of the encoder in the order of application; their product is the hop."""
    n_filters: int = 64
    """Channels of the encoder's first convolution; each stage doubles them."""
    dimension: int = 1024
    """Size of a code vector."""
    residual_layers: int = 1
    """Residual blocks in each stage."""
    lstm_layers: int = 2
    """Layers of the LSTM in encoder and decoder; 0 leaves them out."""
    bidirectional: bool = flag(True)
    """Let the encoder's LSTM see the future too."""
    activation: Literal["ELU", "Snake"] = "ELU"
    """Activation of encoder and decoder."""
    codebook_size: int = 1024
    """Codes in each codebook."""
    num_codebooks: int = 8
    """Levels of the quantiser."""
