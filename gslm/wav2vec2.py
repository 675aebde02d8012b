"""wav2vec 2.0 large (Baevski et al. 2020, arXiv 2006.11477), one of GSLM's encoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmcore.encoders import plain
from slmcore.encoders.plain import PlainEncoder
from slmcore.files.checkpoint import Checkpoint, read
from slmcore.files.pretrained import weights_file

__all__ = ["Wav2Vec2", "load", "published"]


class Wav2Vec2(PlainEncoder):
    """Speech encoder: 50 frames of 1024 per second, 24 layers; without a layer `features` gives GSLM's, the fifteenth.

    fairseq counts that layer from 0, as the fourteenth. Unlike in the model's training, the waveform is not normalised:
    nor was it for the features of the published codebooks.
    """

    kind = "wav2vec2"
    entry_point = "wav2vec2_large"
    usual_layer = 15

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Wav2Vec2:
        """Load a published or saved encoder: a file, a folder with one, or `hf://owner/repo`.

        Example: `Wav2Vec2.from_pretrained("wav2vec_vox_new.pt").features(wav, sr)`. Raises FileNotFoundError, or
        CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))


def load(path: str | Path) -> Wav2Vec2:
    """The encoder of a model file: fairseq's checkpoint, or of the project (`.safetensors`)."""
    return Wav2Vec2.from_checkpoint(read(path, "wav2vec2", published))


def published(obj: Mapping[str, Any]) -> Checkpoint:
    """Translate fairseq's checkpoint of a wav2vec 2.0; a CheckpointError for another architecture."""
    return plain.published(obj, "wav2vec2", normalize=False)
