"""Options of `slmzoo train vocoder`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from slmzoo.arguments import flag
from slmzoo.training.options.units import UnitOptions

__all__ = ["VocoderOptions"]


@dataclass(frozen=True, kw_only=True)
class VocoderDataOptions(UnitOptions):
    """Units and recordings to train a vocoder on."""

    title: ClassVar[str] = "speech"

    train_speech: Path
    """Folder of the recordings, whose paths below it are the names of the units."""
    validation_speech: Path
    """The same for the held-out utterances."""
    sample_rate: int = 16_000
    """Samples per second of the speech to synthesise; recordings are resampled."""
    speakers: bool = flag()
    """Condition the vocoder on the speaker: the first folder of a recording's path below --train-speech."""
    tolerance: float = 0.1
    """Largest difference in duration between the units and the recording of an utterance, seconds."""
    steps: int = 500_000
    batch: int = 16
    lr: float = 2e-4
    betas: tuple[float, float] = (0.8, 0.99)
    clip: float = 1e6
    """Largest norm of the gradient; the published training does not clip."""
    segment: int = 8960
    """Samples per item of a batch, a multiple of the samples per frame."""
    validate_every: int | None = 5000
    save_every: int = 1000
    held_out: int = 64
    """Most held-out recordings per validation, at most 10 s of each."""
    samples: int = 3
    """Held-out recordings to write as sound."""
    variant: str | None = None
    """Name of the vocoder among several in the zoo."""


@dataclass(frozen=True, kw_only=True)
class VocoderLossOptions(VocoderDataOptions):
    """Losses and schedule of a vocoder."""

    title: ClassVar[str] = "losses and schedule"

    schedule: Literal["exponential", "cosine"] = "exponential"
    """Learning rate: multiplied by --decay after each epoch, or a cosine over all steps to --last-lr."""
    decay: float = 0.999
    """Factor of the learning rate after each epoch."""
    mel: float = 45.0
    """Weight of the mel loss."""
    feature_matching: float = 2.0
    """Weight of feature matching."""
    adversarial: float = 1.0
    """Weight of the adversarial loss."""
    objective: Literal["lsgan", "hinge"] = "lsgan"
    """Adversarial loss: least squares, or hinge."""
    duration: float = 1.0
    """Weight of the loss of log durations."""
    duration_dropout: float = 0.5
    """Dropout probability in the duration predictor."""
    discriminator_from: int = 0
    """Step at which adversarial training starts. On a CPU it costs several times all the rest."""
    discriminator_width: int = 32
    """Channels of the first layers of the multi-period discriminator, a multiple of 4; all others are in proportion."""


@dataclass(frozen=True, kw_only=True)
class VocoderOptions(VocoderLossOptions):
    """Training of a unit vocoder."""

    title: ClassVar[str] = "model sizes"

    duration_width: int = 128
    """Channels of the duration predictor; 0 for a vocoder of units with durations only."""
    dim: int = 128
    """Width of each embedding, of units and speakers."""
    channels: int = 512
    """Channels behind the first convolution; each upsampling stage halves them."""
    rates: tuple[int, ...] = ()
    """Upsampling factors, whose product is the number of samples per frame; if left out 5 4 4 2 2 for 320 and
    5 4 4 2 2 2 for 640."""
    kernels: tuple[int, ...] = ()
    """Kernels of the upsampling stages; about twice the factors if left out."""
    block_kernels: tuple[int, ...] = (3, 7, 11)
    """Kernels of the residual blocks that each stage averages."""
    dilations: tuple[int, ...] = (1, 3, 5)
    """Dilations of the layers of each residual block."""
