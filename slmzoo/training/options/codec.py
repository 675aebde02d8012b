"""Options of `slmzoo train codec`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from slmzoo.training.options.run import TrainOptions

__all__ = ["CodecOptions"]


@dataclass(frozen=True, kw_only=True)
class CodecDataOptions(TrainOptions):
    """Recordings to train a codec on."""

    title: ClassVar[str] = "data"

    audio: list[str]
    """Audio files, folders or glob patterns to train on."""
    validation: list[str]
    """Held-out audio."""
    steps: int = 300_000
    batch: int = 16
    lr: float = 5e-4
    warmup: int = 1000
    betas: tuple[float, float] = (0.9, 0.99)
    precision: Literal["auto", "32", "bf16"] = "32"
    """Mixed bfloat16 or float32; bfloat16 rounds the phases that the decoder predicts."""
    crop: int = 24_000
    """Samples per item of a batch, a multiple of the hop."""
    held_out: int = 64
    """Most held-out recordings per validation, at most 10 s of each."""
    samples: int = 3
    """Held-out recordings to write as sound."""


@dataclass(frozen=True, kw_only=True)
class CodecLossOptions(CodecDataOptions):
    """Losses and schedule of a codec."""

    title: ClassVar[str] = "losses and schedule"

    quantize_from: int = 400
    """Step at which the codebook starts as the k-means of the latents; until then the latents pass unquantised. With
    --init there is a codebook from the start."""
    start_crops: int = 512
    """Items whose latents k-means clusters, and whose spectra --encoder-only-until is fitted on."""
    mel: float = 1.0
    """Weight of the mel loss: differences of log magnitudes, at three scales."""
    stft: float = 1.0
    """Weight of the linear-frequency losses beside it."""
    commitment: float = 1.0
    """Weight of the commitment loss."""
    decay: float = 0.99
    """Decay of the codebook's running means."""
    revive_below: float = 0.1
    """A code used less than this fraction of the mean use is replaced by a latent of the batch."""
    discriminator_from: int | None = None
    """Step at which adversarial training starts; never if left out. On a CPU it costs more than all the rest."""
    discriminator_width: int = 32
    """Channels of the discriminators' first layers."""
    adversarial: float = 0.1
    """Weight of the adversarial loss."""
    feature_matching: float = 1.0
    """Weight of feature matching."""
    encoder_only_until: int | None = None
    """Step up to which only the encoder is trained, to predict log-mel spectra: on a CPU the shortest way to codes that
    keep the words. The learning rate schedule then starts again. Never if left out."""
    whitening: float = 0.0
    """Power, 0 to 1, of the standard deviation by which each component of the spectra is divided: above 0, fewer codes
    encode loudness and more encode timbre."""
    freeze_from: int | None = None
    """Step at which the encoder and the codebook are frozen, and the decoder is trained on the final codes of whole
    recordings; never if left out."""


@dataclass(frozen=True, kw_only=True)
class CodecOptions(CodecLossOptions):
    """Training of a codec."""

    title: ClassVar[str] = "model sizes"

    sample_rate: int = 24_000
    """Samples per second."""
    strides: tuple[int, ...] = (4, 5, 5, 6)
    """Downsampling factors of the encoder in the order of application; their product is the hop."""
    n_filters: int = 32
    """Channels of the encoder's first convolution; each stage doubles them."""
    dimension: int = 512
    """Size of a code vector."""
    codebook_size: int = 4096
    """Number of codes."""
    decoder_dim: int = 768
    """Channels of the decoder, a multiple of 32."""
    decoder_intermediate: int = 2304
    """Hidden size of a ConvNeXt block."""
    decoder_layers: int = 12
    """Number of ConvNeXt blocks."""
    n_fft: int = 2400
    """Samples of the inverse STFT's window, at least the hop and of its parity."""
