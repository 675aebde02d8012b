"""Inputs, discriminators and weights of the golden `soundstream_losses`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from slmcore.layers.discriminators import MultiFrequencyDiscriminator
from tests.reference import goldens

ABOUT, ARRAYS = goldens.load("soundstream_losses")


def _normal(seed: int) -> np.ndarray:
    return np.random.RandomState(goldens.seed() + seed).standard_normal(16800).reshape(2, 8400)


REAL = (0.3 * _normal(0)).astype(np.float32)
FAKE = (0.7 * REAL + 0.2 * _normal(1).astype(np.float32)).astype(np.float32)


def waves(samples: int, items: int = 2) -> dict[str, Tensor]:
    return {name: torch.from_numpy(x[:items, :samples]) for name, x in (("real", REAL), ("fake", FAKE))}


def weighted(name: str, make: Callable[[], nn.Module]) -> nn.Module:
    """A discriminator with the weights of the golden's `name`."""
    shapes = {key: value for key, value in ABOUT["state_dict"].items() if key.startswith(f"{name}.")}
    state = {key.removeprefix(f"{name}."): value for key, value in goldens.weights(shapes).items()}
    for key in [key for key in state if key.endswith(".weight_orig")]:
        u, _, v = torch.linalg.svd(state[key].flatten(1), full_matrices=False)
        stem = key.removesuffix("orig")
        state |= {f"{stem}u": u[:, 0], f"{stem}v": v[0]}
    module = make()
    module.load_state_dict(state)
    return module.eval()


def frequency(name: str, **options: str | bool) -> MultiFrequencyDiscriminator:
    """A multi-frequency discriminator of the golden, of the sizes of `mfd_small` unless it has its own."""
    sizes = ABOUT[name if name in ABOUT else "mfd_small"]
    size = {"hops": sizes["hop_lengths"], "channels": sizes["hidden_channels"]}
    made = weighted(name, lambda: MultiFrequencyDiscriminator(sizes["sample_rate"], **size, **options))
    assert isinstance(made, MultiFrequencyDiscriminator)
    return made
