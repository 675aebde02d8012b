"""Weight norm that is trained: each convolution's weight as a magnitude and a direction (arXiv 1602.07868).

Checkpoints hold the weights themselves: `slmcore.files.checkpoint.fold_weight_norm` gives them.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

__all__ = ["add_weight_norm"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)


def add_weight_norm(model: nn.Module) -> None:
    """Parametrise the weight of every convolution in `model` as g v / ||v||, in place; its outputs stay as they are.

    The norm runs over all axes but the first, which is the output's of a convolution and the input's of a transposed
    one, as in EnCodec and HiFi-GAN. A convolution that is parametrised already stays as it is.
    """
    for module in list(model.modules()):
        if isinstance(module, _CONVOLUTIONS) and not parametrize.is_parametrized(module, "weight"):
            weight_norm(module)
