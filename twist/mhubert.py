"""mHuBERT at 25 Hz (Hassid et al. 2023, arXiv 2305.13009, section 4.1): the encoder of TWIST's units.

HuBERT base with one more strided convolution, and a batch norm before the positional convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmcore.encoders import plain
from slmcore.encoders.huggingface import as_fairseq
from slmcore.encoders.plain import PlainEncoder
from slmcore.files.archives import opened
from slmcore.files.checkpoint import Checkpoint, read
from slmcore.files.huggingface import is_model_folder
from slmcore.files.pretrained import weights_file

__all__ = ["MHuBERT", "load", "published"]


class MHuBERT(PlainEncoder):
    """Speech encoder: 25 frames of 768 per second, 12 layers; the default layer is TWIST's, the eleventh."""

    kind = "mhubert"
    entry_point = "mhubert_base_25hz"
    usual_layer = 11

    @classmethod
    def from_pretrained(cls, path: str | Path) -> MHuBERT:
        """Load a published or saved model; see `load`."""
        return load(path)


def load(path: str | Path) -> MHuBERT:
    """Load fairseq's checkpoint, a folder of `transformers`, or the project's `.safetensors`.

    `path` is the file, or a folder with it. Raises FileNotFoundError, or CheckpointError for a file that is
    damaged or of another kind.
    """
    found = opened(path)
    folder = found if found.is_dir() else found.parent
    if is_model_folder(folder):
        return MHuBERT.from_checkpoint(published(as_fairseq(folder)))
    return MHuBERT.from_checkpoint(read(weights_file(found), "mhubert", published))


def published(obj: Mapping[str, Any]) -> Checkpoint:
    """Translate fairseq's checkpoint, or SpiritLM's of the same model; a CheckpointError for another architecture."""
    if "model_weight" in obj:
        settings = {"task": obj.get("task_cfg"), "model": obj["model_cfg"]}
        obj = {"cfg": settings, "model": obj["model_weight"]}
    return plain.published(obj, "mhubert")
