"""HuBERT base (Hsu et al. 2021, arXiv 2106.07447), the encoder of GSLM's units at its sixth layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmcore.encoders import plain
from slmcore.encoders.plain import PlainEncoder
from slmcore.files.checkpoint import Checkpoint, read
from slmcore.files.pretrained import weights_file

__all__ = ["HuBERT", "load", "published"]


class HuBERT(PlainEncoder):
    """Speech encoder: 50 frames of 768 per second, 12 layers; without a layer `features` gives GSLM's, the sixth."""

    kind = "hubert"
    entry_point = "hubert_base"
    usual_layer = 6

    @classmethod
    def from_pretrained(cls, path: str | Path) -> HuBERT:
        """Load a published or saved encoder: a file, a folder with one, or `hf://owner/repo`.

        Example: `HuBERT.from_pretrained("hubert_base_ls960.pt").features(wav, sr)`. Raises FileNotFoundError, or
        CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))


def load(path: str | Path) -> HuBERT:
    """The encoder of a model file: fairseq's checkpoint, or of the project (`.safetensors`)."""
    return HuBERT.from_checkpoint(read(path, "hubert", published))


def published(obj: Mapping[str, Any]) -> Checkpoint:
    """Translate fairseq's checkpoint of a HuBERT; a CheckpointError for another architecture."""
    return plain.published(obj, "hubert")
