"""The sizes of a USLM."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must

__all__ = ["USLMConfig"]

_PREFIX_MODES = (0, 1, 2, 4)


@dataclass(frozen=True, kw_only=True)
class USLMConfig(ModelConfig, describes="a USLM"):
    """The sizes that a USLM is built from; the defaults are the published ones."""

    dim: int = 1024
    """Width of the autoregressive decoder."""
    heads: int = 16
    """Its attention heads."""
    layers: int = 12
    nar_dim: int = 1024
    """Width of the non-autoregressive decoder."""
    nar_heads: int = 16
    nar_layers: int = 12
    norm_first: bool = True
    """Whether layers norm their input; otherwise their output, and there is no final norm."""
    share_embedding: bool = True
    """Whether the NAR's output for level j is its embedding of level j, where it has one."""
    prefix_mode: int = 0
    """Prompt of the NAR: 0 the levels below the predicted one; 1 all levels; 2 and 4 all levels, without the text of
    the prompt."""
    prepend_bos: bool = False
    """Whether the audio begins with a start code, so that no prompt is needed."""
    num_codebooks: int = 8
    codebook_size: int = 1024
    text_size: int = 512
    """Number of text ids."""
    dropout: float = 0.0
    """Probability in training."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name in ("norm_first", "share_embedding", "prepend_bos", "prefix_mode", "dropout"):
                continue
            object.__setattr__(self, name, whole(name, value, 1))
        for dim, heads in (("dim", "heads"), ("nar_dim", "nar_heads")):
            if getattr(self, dim) % getattr(self, heads) or getattr(self, dim) % 2:
                raise ValueError(must(dim, f"even and a multiple of {heads}", getattr(self, dim)))
        if self.prefix_mode not in _PREFIX_MODES:
            raise ValueError(must("prefix_mode", f"one of {', '.join(map(str, _PREFIX_MODES))}", self.prefix_mode))
        if not 0 <= self.dropout < 1:
            raise ValueError(must("dropout", "at least 0 and below 1", self.dropout))
        if self.num_codebooks < 2:
            raise ValueError(must("num_codebooks", "at least 2", self.num_codebooks))

    @property
    def end(self) -> int:
        """The code that ends the first level."""
        return self.codebook_size

    @property
    def start(self) -> int:
        """The code that begins the first level if `prepend_bos`."""
        return self.codebook_size + 1
