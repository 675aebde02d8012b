"""Linear layers with weights of one byte for CPUs, where decoding takes as long as reading the weights does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from slmcore.errors import must

__all__ = ["Scheme", "quantize_linears", "together"]

Scheme = Literal["int8", "int8-weight-only"]
"""int8: what a layer reads is rounded to a byte too, vector by vector. int8-weight-only: it is computed in bfloat16."""

_FEW_ROWS = 8
"""Up to so many vectors the weight-only kernel is the faster one; more are worth the weights in bfloat16."""


def quantize_linears(module: nn.Module, scheme: Scheme) -> None:
    """Replace every linear layer inside `module`, on the CPU, by one with int8 weights, a scale for each output.

    The weights can no longer be trained, saved, or moved to a GPU. Raises ValueError for an unknown scheme or weights
    that are not on the CPU, RuntimeError where torch has no such kernels for this processor.
    """
    if scheme not in get_args(Scheme):
        raise ValueError(must("weights", f"None or one of {get_args(Scheme)}", scheme))
    made = Int8Linear if scheme == "int8" else WeightOnlyLinear
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, made(child))


def together(x: Tensor, *layers: nn.Module) -> list[Tensor]:
    """What each of several linear layers gives for x (..., in); rounding x, where they do, is shared."""
    if not all(isinstance(layer, Int8Linear) for layer in layers):
        return [layer(x) for layer in layers]
    vectors = _bytes(x.flatten(0, -2))
    return [layer.finish(layer.multiply(*vectors), x) for layer in layers if isinstance(layer, Int8Linear)]


class _Rounded(nn.Module, ABC):
    """What both schemes share: weights (out, in) rounded to -127..127 with a scale for each output."""

    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        if linear.weight.device.type != "cpu":
            remedy = "On a GPU use dtype=torch.bfloat16."
            raise ValueError(must("weights", "None for a model that is not on a CPU", linear.weight.device, remedy))
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        self.rounded = (weight / scale[:, None]).round().to(torch.int8)
        self.scale = scale
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of x."""
        return self.finish(self._product(x.flatten(0, -2)), x)

    def finish(self, y: Tensor, x: Tensor) -> Tensor:
        """Products (n, out) with their bias, in the shape and dtype of the layer's input x (..., in)."""
        y = y if y.dtype == x.dtype else y.to(x.dtype)
        y = y.unflatten(0, x.shape[:-1])
        return y if self.bias is None else y + self.bias

    @abstractmethod
    def _product(self, x: Tensor) -> Tensor:
        """(n, in) to (n, out), without the bias."""

    def extra_repr(self) -> str:
        """What `print` shows of the module."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Int8Linear(_Rounded):
    """Products of bytes, summed in 32-bit integers: exact, so that a vector's result does not depend on its batch."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        try:
            self._packed = torch.ops.onednn.qlinear_prepack(self.rounded, None)
        except (AttributeError, RuntimeError) as error:
            raise RuntimeError("This build of torch has no int8 products for this CPU. Use dtype instead.") from error
        self._zeros = torch.zeros(self.out_features, dtype=torch.int64)
        del self.rounded  # its bytes are in the packed weights

    def _product(self, x: Tensor) -> Tensor:
        return self.multiply(*_bytes(x))

    def multiply(self, rounded: Tensor, scale: Tensor) -> Tensor:
        """Rounded vectors (n, in) and their scales (n, 1), from `_bytes`, to float32 (n, out)."""
        given = (rounded, 1.0, 128, self._packed, self.scale, self._zeros, None)
        return torch.ops.onednn.qlinear_pointwise(*given, 1.0, 0, torch.float32, "none", [], "").mul_(scale)


def _bytes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (n, in) rounded to bytes, and the scale of each (n, 1)."""
    _check_on_cpu(x)
    x = x.float()
    scale = torch.linalg.vector_norm(x, torch.inf, dim=1, keepdim=True).clamp_(min=1e-30).div_(127)
    # Rounded, and shifted from -127..127 to unsigned bytes, which the processor multiplies faster.
    return (x / scale).add_(128.5).to(torch.uint8), scale


class WeightOnlyLinear(_Rounded):
    """Weights of one byte that are widened as they are read, for products in bfloat16."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        self.scale = self.scale.bfloat16()

    def _product(self, x: Tensor) -> Tensor:
        _check_on_cpu(x)
        x = x.bfloat16()
        if len(x) <= _FEW_ROWS:
            return torch.ops.aten._weight_int8pack_mm(x, self.rounded, self.scale)
        return (x @ self.rounded.T.bfloat16()) * self.scale


def _check_on_cpu(x: Tensor) -> None:
    if x.device.type != "cpu":
        raise ValueError(must("weights", "None for a model that leaves the CPU", "int8", "Load it anew with None."))
