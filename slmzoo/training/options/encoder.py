"""Options of `slmzoo train encoder`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from slmzoo.arguments import flag
from slmzoo.training.options.run import TrainOptions

__all__ = ["EncoderOptions"]


@dataclass(frozen=True, kw_only=True)
class EncoderDataOptions(TrainOptions):
    """Recordings to train an encoder on, and its targets."""

    title: ClassVar[str] = "data and targets"

    audio: list[str]
    """Audio files, folders or glob patterns to train on."""
    name: str = "wavlm"
    """Name of the encoder, by which codebooks and models of its units refer to it."""
    targets: Path | None = None
    """Folder with an .npy file of cluster numbers for each audio file, one per frame, with the folders of the audio."""
    teacher: Path | None = None
    """Model file of the encoder whose features are clustered; mel cepstra if left out."""
    teacher_layer: int | None = None
    """Block of the teacher, 1-based; the last with its norm if left out."""
    clusters: int = 100
    """Number of clusters."""
    frame_fraction: float = 0.1
    """Share of the frames of each file that are clustered."""
    held_out: int = 0
    """Number of held-out recordings, evenly spread over all."""
    steps: int = 10_000
    batch: int = 8
    lr: float = 2e-3
    warmup: int = 200
    betas: tuple[float, float] = (0.9, 0.99)
    crop: int = 100
    """Longest segment of a recording, frames."""


@dataclass(frozen=True, kw_only=True)
class EncoderAugmentOptions(EncoderDataOptions):
    """Masking and augmentation."""

    title: ClassVar[str] = "masking and augmentation"

    mask_start: float = 0.03
    """Probability that a masked span starts at a frame."""
    mask_length: int = 10
    """Frames per span."""
    unmasked_weight: float = 1.0
    """Weight of the loss on unmasked frames; that on masked frames is 1."""
    quietest_gain: float = 0.25
    """Smallest gain; each segment is scaled by a factor between this and --loudest-gain."""
    loudest_gain: float = 2.0
    """Largest gain."""
    noise: float = 0.3
    """Half the segments get white noise of up to this fraction of their RMS; the targets are those of clean speech."""
    babble: float = 0.0
    """Share of segments with another recording in the background, 3 to 20 dB below."""
    rooms: float = 0.0
    """Share of segments in a synthetic room, of 0.1 to 0.6 s of reverberation."""
    channels: float = 0.0
    """Share of segments through a random equaliser, one in three of them in a telephone band."""
    warp: float = 1.12
    """Largest factor by which a segment is sped up or slowed down, which moves pitch and formants like a change of
    speaker; 1 for never."""


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(EncoderAugmentOptions):
    """Training of an encoder."""

    title: ClassVar[str] = "model sizes"

    filterbank: bool = flag(True)
    """Initialise the first convolution as a filterbank, from which a small encoder learns several times faster."""
    conv_layers: tuple[str, ...] = ("96,128,20", "96,8,4", "128,8,4")
    """Channels, kernel and stride of each frontend layer; the strides must multiply to 320, 20 ms at 16 kHz."""
    dim: int = 128
    """Width of the features."""
    ffn_dim: int = 384
    """Width inside the feed-forward layers."""
    heads: int = 4
    """Attention heads."""
    layers: int = 4
    """Transformer blocks."""
    conv_pos: int = 32
    """Kernel of the positional convolution, frames."""
    conv_pos_groups: int = 8
    """Groups of the positional convolution."""
    num_buckets: int = 64
    """Buckets of relative positions, both signs together."""
    max_distance: int = 160
    """Distance beyond which all positions share a bucket, frames."""
