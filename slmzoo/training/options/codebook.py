"""Options of `slmzoo train codebook`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from slmzoo.training.options.run import RunOptions

__all__ = ["CodebookOptions"]


@dataclass(frozen=True, kw_only=True)
class CodebookOptions(RunOptions):
    """Training of codebooks."""

    title: ClassVar[str] = "codebook"

    audio: list[str]
    """Audio files, folders or glob patterns to cluster."""
    encoder_zoo: str = "dp-slm"
    """Zoo of the encoder: dp-slm, demo, or that of --registry."""
    layer: int = 11
    """Encoder block, 1-based, whose output is clustered; as published. 0: the encoder's output, after its last norm."""
    k: tuple[int, ...] = (500,)
    """Numbers of codes; 100 200 500 1000 2000 are published."""
    codes: Path | None = None
    """Codes (k, dim) of a .npy file in place of k-means. `codes.npy` of `train encoder` belongs to --layer 0: units are
    then the clusters that the encoder's head predicts."""
    frame_fraction: float = 0.1
    """Share of the frames of each file, drawn at random; as published."""
    speaker_directions: int = 0
    """Number of directions in which the speakers differ most that are removed from the codes, so that a sound has one
    code in every voice. The folder of a file is its speaker."""
    aligned_sentences: int = 0
    """Number of sentences from which these directions are estimated, frame by frame: all speakers read them, in files
    of the same name, which are aligned in time. 0 compares the speakers' means, which gives one direction less than
    there are speakers."""
    iterations: int = 300
    """Most passes over the frames; as published."""
    tolerance: float = 1e-4
    """Relative decrease of the inertia below which k-means stops."""
    trials: int = 4
    """Initialisations on a sample of the frames; the best is used."""
    lmbda: tuple[float, ...] = ()
    """Weight of the duration penalty for each k, in squared feature units."""
    rate: float | None = None
    """Units per second that lambda is fitted to for each k, in place of --lmbda."""
    rated_files: int = 300
    """Files, evenly spread over all, whose units are counted for --rate."""
    num_neighbors: int | None = None
    """Codes that a frame may take with --lmbda or --rate; a twentieth of k, as published, if left out."""
    batch: int = 8
    """Files per batch of the encoder."""
