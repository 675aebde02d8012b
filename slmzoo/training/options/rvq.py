"""Options of training a codec with residual codebooks, whichever model it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from slmzoo.arguments import flag
from slmzoo.training.options.distillation import DistillationOptions
from slmzoo.training.options.run import TrainOptions

__all__ = ["RVQOptions"]


@dataclass(frozen=True, kw_only=True)
class RVQDataOptions(TrainOptions):
    """Recordings to train a codec on."""

    title: ClassVar[str] = "data"

    audio: list[str]
    """Audio to train on: files, folders, patterns, tars and manifests, or one dataset of the Hugging Face hub,
    huggingface:NAME[:CONFIG]:SPLIT, which is streamed."""
    validation: list[str]
    """Held-out audio, named alike."""
    column: str | None = None
    """Column of a dataset that holds the audio, where it has several."""
    crop: int
    """Samples per item of a batch, a multiple of the hop; shorter recordings are padded with silence, which no loss
    counts."""
    gain: float = 1.0
    """Factor that all audio is multiplied by."""
    held_out: int = 64
    """Most held-out recordings per validation, at most 10 s of each."""
    samples: int = 3
    """Held-out recordings to write as sound."""


@dataclass(frozen=True, kw_only=True)
class RVQQuantizerOptions(RVQDataOptions):
    """Codebooks and what the decoder sees of them."""

    title: ClassVar[str] = "quantiser"

    start_crops: int = 64
    """Items whose latents are clustered to start the codebooks, level after level."""
    decay: float = 0.99
    """Decay of the codebooks' running means."""
    revive_below: float = 0.1
    """A code used less than this fraction of the mean use is replaced by a latent of the batch."""
    collapse_below: float = 0.01
    """A level whose perplexity falls below this fraction of its codes has collapsed, which stops the run."""
    quantizer_dropout: float = 0.0
    """Share of the steps in which only the first levels are used, as many as --dropout-levels says."""
    dropout_levels: tuple[int, ...] = ()
    """Numbers of levels that these steps draw from; any if left out."""
    unquantised_share: float = 0.0
    """Share of the items whose latents the decoder gets as they are, so that it can decode latents (Mimi: 0.5)."""
    latent_noise: float = 0.0
    """Largest standard deviation, relative to each channel's, of the noise that is added to these latents."""


@dataclass(frozen=True, kw_only=True)
class RVQAdversaryOptions(RVQQuantizerOptions):
    """Discriminators."""

    title: ClassVar[str] = "discriminators"

    discriminators: tuple[str, ...] = ()
    """Discriminators to train against, of multi-frequency, multi-scale-stft, multi-period and multi-scale; none if left
    out."""
    discriminator_width: float = 1.0
    """Channels of the discriminators relative to the published ones."""
    discriminator_from: int = 0
    """Step at which adversarial training starts."""
    discriminator_every: int = 1
    """Steps from one step of the discriminators to the next."""
    discriminator_lr: float | None = None
    """Highest learning rate of the discriminators; --lr if left out."""
    objective: Literal["lsgan", "hinge"] = "lsgan"
    """Adversarial loss: least squares or hinge."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over the networks of a discriminator, and over their feature maps."""
    matching_logits: bool = flag()
    """Count the logits of multi-period and multi-scale discriminators as a last feature map, as HiFi-GAN does."""


@dataclass(frozen=True, kw_only=True)
class RVQOptions(RVQAdversaryOptions, DistillationOptions):
    """Weights of the losses that every codec has."""

    title: ClassVar[str] = "weights of the losses"

    commitment: float = 1.0
    """Weight of the commitment loss."""
    adversarial: float = 1.0
    """Weight of the adversarial loss."""
    feature_matching: float = 1.0
    """Weight of feature matching."""
    distillation: float = 1.0
    """Weight of the distillation."""
    distil: Literal["codes", "latents"] = "codes"
    """Target of the distillation: the code vectors of level 1, or the latents before quantisation."""
