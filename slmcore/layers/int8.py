"""Linear layers with int8 weights for CPUs, where decoding is bound by reading the weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from slmcore.errors import must
from slmcore.layers.fast import switch
from slmcore.layers.fast.weights import joined

__all__ = ["Scheme", "quantize_linears", "together"]

Scheme = Literal["int8", "int8-weight-only"]
"""int8: inputs are rounded to int8 too, vector by vector. int8-weight-only: products are computed in bfloat16."""

_LOST = "int8 weights cannot be"
_REMEDY = "Load the model with weights=None for that, and round its weights afterwards."
_FEW_ROWS = 8
"""Vectors up to which the weight-only kernel is faster than widening the weights to bfloat16."""
_KERNEL_WIDTH = 16
"""Weights that the kernel reads at once: with a remainder it reads beyond the end of a row (torch 2.11)."""


def quantize_linears(module: nn.Module, scheme: Scheme) -> None:
    """Replace every linear layer inside `module`, on the CPU, by one with int8 weights, a scale for each output.

    Layers that their parent names in `read_alike` share their input and are fused into one product: for a single
    vector, a kernel call costs as much as half a megabyte of weights. The weights can no longer be trained, saved,
    replaced or moved to a GPU, which is refused by name where it is tried. Raises ValueError for an unknown scheme or
    weights that are not on the CPU, RuntimeError where torch has no such kernels for this processor.
    """
    if scheme not in get_args(Scheme):
        raise ValueError(must("weights", f"None or one of {get_args(Scheme)}", scheme))
    made = Int8Linear if scheme == "int8" else WeightOnlyLinear
    for parent in list(module.modules()):
        alike = getattr(parent, "read_alike", ())
        if alike:
            layers: list[Any] = [parent.get_submodule(name) for name in alike]
            bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
            product = made(torch.cat([layer.weight for layer in layers]), bias)
            for index, name in enumerate(alike):
                setattr(parent, name, Part(product, [len(layer.weight) for layer in layers], index))
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, made(child.weight, child.bias))


class ReadsAlike(Protocol):
    """Module some of whose linear layers, all with or all without biases, share their input."""

    @property
    def read_alike(self) -> tuple[str, ...]:
        """Names of these layers."""
        ...


def together(parent: ReadsAlike, x: Tensor) -> Sequence[Tensor]:
    """Return the outputs of the layers in `read_alike` of `parent` for x (..., in), as one product where fused."""
    layers = [getattr(parent, name) for name in parent.read_alike]
    first = layers[0]
    if isinstance(first, Part):
        return first.all(x)
    if switch.on(x.device) and first.bias is None:
        # Where gradients are wanted the product is of copies, a thousandth of the work of a batch.
        whole = torch.cat([layer.weight for layer in layers]) if torch.is_grad_enabled() else joined(layers)
        return linear(x, whole).split([len(layer.weight) for layer in layers], dim=-1)
    return [layer(x) for layer in layers]


class Part(nn.Module):
    """Linear layer that is part of a fused product."""

    def __init__(self, product: nn.Module, sizes: list[int], index: int) -> None:
        super().__init__()
        self.product, self.sizes, self.index = product, sizes, index

    def all(self, x: Tensor) -> Sequence[Tensor]:
        """Return the outputs of all layers of the fused product: (..., in) to (..., size) each."""
        return self.product(x).split(self.sizes, dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output: (..., in) to (..., out)."""
        return self.all(x)[self.index]


class _Rounded(nn.Module, ABC):
    """Base of both schemes: weights (out, in) rounded to -127..127 with a scale for each output."""

    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        if weight.device.type != "cpu":
            remedy = "On a GPU use dtype=torch.bfloat16."
            raise ValueError(must("weights", "None for a model that is not on a CPU", weight.device, remedy))
        weight = weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        self.rounded = (weight / scale[:, None]).round().to(torch.int8)
        self.scale = scale
        self.out_features, self.in_features = weight.shape
        self.register_buffer("bias", None if bias is None else bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of x."""
        if x.device.type != "cpu":
            raise ValueError(must("weights", "None for a model that leaves the CPU", "int8", "Load it anew with None."))
        rows = x.flatten(0, -2)
        product = _Untrainable.apply(rows, self) if torch.is_grad_enabled() and x.requires_grad else self._product(rows)
        y = product.to(x.dtype).unflatten(0, x.shape[:-1])
        return y if self.bias is None else y + self.bias

    def _save_to_state_dict(self, *_: Any) -> None:
        raise ValueError(f"{_LOST} saved. {_REMEDY}")

    def _load_from_state_dict(self, *_: Any) -> None:
        raise ValueError(f"{_LOST} replaced. {_REMEDY}")

    @abstractmethod
    def _product(self, x: Tensor) -> Tensor:
        """(n, in) to (n, out), without the bias."""

    def extra_repr(self) -> str:
        """Return the summary that `print` shows."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class _Untrainable(torch.autograd.Function):
    """Product whose gradient is refused by name, instead of torch's error about an in-place operation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: _Rounded) -> Tensor:
        return layer._product(x)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(f"{_LOST} trained, and no gradient passes through them. {_REMEDY}")


class Int8Linear(_Rounded):
    """int8 products accumulated in int32: exact, so that a vector's result does not depend on its batch."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        try:
            self._packed = torch.ops.onednn.qlinear_prepack(self.rounded, None)
        except (AttributeError, RuntimeError) as error:
            raise RuntimeError("This build of torch has no int8 products for this CPU. Use dtype instead.") from error
        self._zeros = torch.zeros(self.out_features, dtype=torch.int64)
        self._shift, self._step = torch.tensor(128.5), self.scale / 127
        del self.rounded  # its bytes are in the packed weights

    def _product(self, x: Tensor) -> Tensor:
        x = x.float()
        largest = x.abs().amax(1, keepdim=True).clamp_(min=1e-30)
        # Shifted from -127..127 to unsigned bytes, which the processor multiplies faster.
        rounded = torch.addcdiv(self._shift, x, largest, value=127).to(torch.uint8)
        given = (rounded, 1.0, 128, self._packed, self._step, self._zeros, None)
        return torch.ops.onednn.qlinear_pointwise(*given, 1.0, 0, torch.float32, "none", [], "").mul_(largest)


class WeightOnlyLinear(_Rounded):
    """int8 weights widened as they are read, for products in bfloat16."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        self.scale = self.scale.bfloat16()

    def _product(self, x: Tensor) -> Tensor:
        x = x.bfloat16().contiguous()
        if len(x) <= _FEW_ROWS and self.in_features % _KERNEL_WIDTH == 0:
            return torch.ops.aten._weight_int8pack_mm(x, self.rounded, self.scale)
        return (x @ self.rounded.T.bfloat16()) * self.scale
