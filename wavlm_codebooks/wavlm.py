"""WavLM: speech to features (Chen et al., arXiv 2110.13900), with the layer-normed frontend and pre-norm blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from slmcore.encoders.speech import SpeechEncoder
from slmcore.files.checkpoint import read
from slmcore.files.pretrained import weights_file
from slmcore.layers.fast import switch
from slmcore.layers.precision import LayerNorm32
from slmcore.layers.ssl.blocks import PreNormBlock
from slmcore.layers.ssl.frontend import Frontend
from slmcore.units import OperatingPoint
from wavlm_codebooks.config import WavLMConfig
from wavlm_codebooks.export import to_transformers
from wavlm_codebooks.layers import Attention, PositionBias
from wavlm_codebooks.published import published
from wavlm_codebooks.rows import on_rows

__all__ = ["WavLM", "WavLMConfig", "load", "published"]


class WavLM(SpeechEncoder):
    """Speech encoder with a gated relative position bias in attention; the waveform is not normalised, as published.

    Under `.to(torch.bfloat16)` or `.half()` the gates and the position bias stay float32 as the norms do (the gated
    bias is rounded when it is added to the scores). Audio above 60 s is encoded in windows of 30 s with 2 s of context
    on each side.
    """

    kind = "wavlm"
    entry_point = "wavlm_large"
    config: WavLMConfig
    config_class = WavLMConfig

    def __init__(self, config: WavLMConfig, operating_point: OperatingPoint | None = None) -> None:
        frontend = Frontend(config.conv_layers, config.hop, config.field)
        super().__init__(config, frontend, operating_point=operating_point)
        self.position_bias = PositionBias(config.heads, config.num_buckets, config.max_distance)
        self.blocks = nn.ModuleList(
            PreNormBlock(config.dim, config.ffn_dim, Attention(config.dim, config.heads)) for _ in range(config.layers)
        )
        self.output_norm = LayerNorm32(config.dim)

    @property
    def padding(self) -> int:
        """Zeros before and after a waveform, by which there is one frame per hop."""
        return (self.config.field - self.hop) // 2

    def unused_parameters(self, layer: int | None = None, masked: bool = False) -> list[nn.Parameter]:
        """See `SpeechEncoder.unused_parameters`."""
        unused = super().unused_parameters(layer, masked)
        return unused if layer is None else [*unused, *self.output_norm.parameters()]

    @classmethod
    def from_pretrained(cls, path: str | Path) -> WavLM:
        """Load a published or saved encoder: a file, a folder with one, or `hf://owner/repo`.

        Example: `WavLM.from_pretrained("WavLM-Large.pt").features(wav, sr, layer=11)`. Raises FileNotFoundError, or
        CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))

    def to_transformers(self) -> Any:
        """Return the encoder as a `transformers.WavLMModel`, in float32 and evaluation mode; see `export`."""
        return to_transformers(self)

    def _transformed(self, x: Tensor, padding: Tensor | None, layer: int | None) -> Tensor:
        # Blocks that somebody watches are called as modules.
        if switch.infers(x.device) and not any(b._forward_hooks or b._forward_pre_hooks for b in self.blocks[:layer]):
            x = on_rows(self.blocks[:layer], x, self.position_bias.by_offset(x.shape[1]), padding)
            return self.output_norm(x) if layer is None else x
        bias = self.position_bias(x.shape[1])
        for block in self.blocks[:layer]:
            x = block(x, bias, padding)
        return self.output_norm(x) if layer is None else x


def load(path: str | Path) -> WavLM:
    """Load the encoder of a model file, published (`.pt`) or of the project (`.safetensors`)."""
    return WavLM.from_checkpoint(read(path, "wavlm", published))
