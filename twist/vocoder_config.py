"""The sizes of a unit vocoder, and the names of its speakers and styles."""

from __future__ import annotations

from dataclasses import dataclass

from slmcore.checks import as_int, whole
from slmcore.configs import ModelConfig
from slmcore.errors import must
from slmcore.layers.hifigan import HiFiGANConfig

__all__ = ["VocoderConfig"]


@dataclass(frozen=True, kw_only=True)
class VocoderConfig(ModelConfig, describes="a unit vocoder"):
    """Sizes of a unit HiFi-GAN; the defaults are those of the published ones at 50 frames per second."""

    num_units: int
    """Size of the codebook."""
    dim: int = 128
    """Width of each embedding: of units, speakers, styles and f0."""
    sample_rate: int = 16000
    """Samples per second."""
    channels: int = 512
    """Channels of the generator behind its first convolution."""
    rates: tuple[int, ...] = (5, 4, 4, 2, 2)
    """Upsampling factors; their product is the number of samples per frame."""
    kernels: tuple[int, ...] = (11, 8, 8, 4, 4)
    block_kernels: tuple[int, ...] = (3, 7, 11)
    block_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    num_speakers: int = 0
    """Rows of the speaker table; 0 without one."""
    speaker_dim: int = 0
    """Width of speaker embeddings that are given in place of a speaker's number; 0 without them."""
    num_styles: int = 0
    """Rows of the style table; 0 without one."""
    f0: bool = False
    """Whether the fundamental frequency is an input."""
    f0_bins: int = 0
    """Bins of a quantised fundamental frequency; 0 for a continuous one."""
    duration_width: int = 0
    """Channels of the duration predictor; 0 without one."""
    duration_kernel: int = 3
    speakers: tuple[str, ...] = ()
    """Names of the speakers, first row first; empty if unknown."""
    styles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("num_units", "dim", "sample_rate", "duration_kernel"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 1))
        for name in ("num_speakers", "speaker_dim", "num_styles", "f0_bins", "duration_width"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 0))
        for name in ("rates", "kernels", "block_kernels", "speakers", "styles"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "block_dilations", tuple(tuple(each) for each in self.block_dilations))
        if self.duration_kernel % 2 == 0:
            raise ValueError(must("duration_kernel", "odd", self.duration_kernel))
        if self.num_speakers and self.speaker_dim:
            raise ValueError(must("speaker_dim", "0 beside a table of speakers", self.speaker_dim))
        self._check_names("speakers", self.num_speakers)
        self._check_names("styles", self.num_styles)
        _ = self.generator  # checks its own sizes

    @property
    def generator(self) -> HiFiGANConfig:
        """Sizes of the generator, whose input is the concatenated embeddings of a frame."""
        return HiFiGANConfig(
            in_channels=self.in_channels,
            channels=self.channels,
            rates=self.rates,
            kernels=self.kernels,
            block_kernels=self.block_kernels,
            block_dilations=self.block_dilations,
        )

    @property
    def in_channels(self) -> int:
        """Width of a frame: unit, f0, speaker and style."""
        f0 = 0 if not self.f0 else self.dim if self.f0_bins else 1
        speaker = self.dim if self.num_speakers or self.speaker_dim else 0
        return self.dim + f0 + speaker + (self.dim if self.num_styles else 0)

    def row(self, kind: str, wanted: int | str | None) -> int:
        """Return the row of a speaker or style (`kind`) by name or number; None is the first.

        Raises ValueError that lists those there are, for one that does not exist and where there is no choice.
        """
        rows, names = getattr(self, f"num_{kind}s"), getattr(self, f"{kind}s")
        if wanted is None:
            return 0
        if not rows:
            raise ValueError(must(kind, f"left out: this vocoder has no {kind}s", wanted))
        number = names.index(wanted) if wanted in names else as_int(wanted)
        if number is None or not 0 <= number < rows:
            raise ValueError(
                must(kind, f"0 to {rows - 1}" + (f", or one of {', '.join(names)}" if names else ""), wanted)
            )
        return number

    def _check_names(self, kinds: str, rows: int) -> None:
        names = getattr(self, kinds)
        if len(names) > rows or not all(isinstance(name, str) for name in names):
            raise ValueError(must(kinds, f"at most {rows} names, one for each row of the table", list(names)))
