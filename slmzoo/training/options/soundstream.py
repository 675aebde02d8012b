"""Options of `slmzoo train soundstream`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from slmzoo.arguments import flag
from slmzoo.training.options.rvq import RVQOptions

__all__ = ["SoundStreamOptions"]


@dataclass(frozen=True, kw_only=True)
class SoundStreamLossOptions(RVQOptions):
    """Losses of a SoundStream, and its published recipe."""

    title: ClassVar[str] = "weights of the losses"

    steps: int = 400_000
    batch: int = 8
    lr: float = 2e-4
    warmup: int = 1000
    betas: tuple[float, float] = (0.8, 0.99)
    eps: float = 1e-6
    crop: int = 240_000
    gain: float = 0.95
    quantizer_dropout: float = 1.0
    discriminators: tuple[str, ...] = ("multi-frequency",)
    feature_matching: float = 20.0
    distillation_axis: Literal["D", "T", "cosine"] = "cosine"
    full_band: float = 1.0
    """Weight of the STFT loss of the waveform: spectral convergence and log magnitude at three resolutions."""
    sub_band: float = 1.0
    """Weight of the same for its six sub-bands."""
    log_mel: float = 0.0
    """Weight of the difference of log-mel spectra; 45 in HiFi-GAN."""
    waveform: float = 0.0
    """Weight of the difference of samples."""
    statistics_crops: int = 256
    """Segments by which the scale of the latents is measured at the end, for diffusion models on them."""


@dataclass(frozen=True, kw_only=True)
class SoundStreamOptions(SoundStreamLossOptions):
    """Training of a SoundStream."""

    title: ClassVar[str] = "model sizes"

    sample_rate: int = 24_000
    """Samples per second."""
    strides: tuple[int, ...] = (2, 4, 5, 8)
    """Downsampling factors of the encoder in the order of application; their product is the hop."""
    n_filters: int = 32
    """Channels of the encoder's first convolution; each stage doubles them."""
    dimension: int = 128
    """Size of a latent vector."""
    lstm_layers: int = 2
    """Layers of the LSTM in encoder and decoder; 0 leaves them out."""
    causal: bool = flag()
    """Let no frame depend on later samples, and pad with zeros, so that the codec can stream."""
    codebook_size: int = 1024
    """Codes in each codebook."""
    num_codebooks: int = 8
    """Levels of the quantiser."""
    quantizer_dimension: int | None = None
    """Size of a code vector; that of the latents, without projections, if left out."""
    semantic: bool = flag()
    """Quantise by one codebook beside the others and not before them (Mimi); needs --quantizer-dimension."""
    downsample: int = 1
    """Factor by which the frame rate is lowered before the quantiser, by a learned convolution."""
    transformer_layers: int = 0
    """Layers of the transformers after the encoder and before the decoder, as in Mimi; 0 leaves them out."""
    transformer_heads: int = 8
    """Attention heads."""
    transformer_hidden: int = 512
    """Width of their feed-forward layers."""
    transformer_context: int = 250
    """Frames that a frame sees, itself included."""
