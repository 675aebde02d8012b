"""Small SoundStreams of every form, with weights by recipe."""

from __future__ import annotations

import torch

from slmcore.files.checkpoint import Checkpoint
from slmcore.layers.seanet import SEANetConfig
from soundstream import SoundStream, SoundStreamConfig, TransformerConfig
from tests.reference.recipe import recipe_tensor

CAUSAL = SEANetConfig(strides=(2, 3), n_filters=4, dimension=8, causal=True, pad_mode="constant")
CENTRED = SEANetConfig(strides=(2, 3), n_filters=4, dimension=8)
NO_LSTM = SEANetConfig(
    strides=(2, 3), n_filters=4, dimension=8, lstm_layers=0, shortcut=False, causal=True, pad_mode="constant"
)
ATTENTION = TransformerConfig(layers=2, heads=2, hidden=12, context=5)
SIZES = {"sample_rate": 600, "codebook_size": 16, "num_codebooks": 3}

CONFIGS = {
    "plain": SoundStreamConfig(seanet=CENTRED, **SIZES),
    "causal": SoundStreamConfig(seanet=CAUSAL, **SIZES),
    "projected": SoundStreamConfig(seanet=CAUSAL, quantizer_dimension=4, transformer=ATTENTION, **SIZES),
    "mimi": SoundStreamConfig(
        seanet=NO_LSTM, quantizer_dimension=4, semantic=True, downsample=2, transformer=ATTENTION, **SIZES
    ),
}


def small(name: str) -> SoundStream:
    """A model with near-trained scales: layer scales of order one, codebooks as wide as what they quantise."""
    config = CONFIGS[name]
    state = {}
    for key, value in SoundStream(config).state_dict().items():
        made = recipe_tensor(key, tuple(value.shape))
        state[key] = made + 1 if ".scale" in key else made * 2 if key.endswith("embed") else made
    return SoundStream.from_checkpoint(Checkpoint(kind="soundstream", config=config.to_dict(), state=state))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3
