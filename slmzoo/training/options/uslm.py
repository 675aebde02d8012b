"""Options of `slmzoo train uslm`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.arguments import flag
from slmzoo.training.options.run import TrainOptions

__all__ = ["UslmOptions"]


@dataclass(frozen=True, kw_only=True)
class UslmOptions(TrainOptions):
    """Training of a USLM."""

    title: ClassVar[str] = "text and speech"

    train: Path = field(metavar="FILE.tsv")
    """Utterances to train on: lines of an audio file, a tab, and its text. Paths are relative to the file."""
    validation: Path = field(metavar="FILE.tsv")
    """Held-out utterances, in the same format."""
    phones: bool = flag()
    """Phones, separated by spaces, stand in the place of the texts; espeak-ng is then not needed."""
    language: str = "en-us"
    """Voice of espeak-ng that turns texts into phones."""
    codec: str = "speechtokenizer"
    """Zoo whose codec makes the codes, or that of --registry; two or more codebooks. The codes are kept in
    RUN/codes."""
    codec_variant: str | None = None
    """Which of the zoo's codecs, where it has several."""
    shortest: float = 3.0
    """Shortest utterance, in seconds; shorter ones are left out."""
    longest: float = 14.0
    """Longest utterance, in seconds; longer ones are left out."""
    part: Literal["both", "ar", "nar"] = "both"
    """Decoder to train: the autoregressive one, the non-autoregressive one, or both. They share no weights."""
    dim: int = 1024
    """Width of both decoders."""
    heads: int = 16
    """Attention heads of a layer."""
    layers: int = 12
    """Layers of each decoder."""
    text_size: int = 512
    """Number of text ids; at least that of the phones and three."""
    dropout: float = 0.1
    """Dropout probability in training."""
    steps: int = 800_000
    batch: int = 16
    accumulate: int = 16
    lr: float = 5e-4
    warmup: int = 32_000
