"""Sum, norm and activation of rows that fit in the registers."""

# ruff: noqa: ANN001, ANN202, N803
# pyright: reportCallIssue=false, reportIndexIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from slmcore.layers.fast.norms import Norm

__all__ = ["launch"]

_ELEMENTS = 4096
"""Elements of a program: few enough for the registers of its four warps."""


def launch(x: Tensor, norm: Norm, more: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run the kernel; arguments as for `slmcore.layers.fast.norms.normed`."""
    x = x.contiguous()
    width = x.shape[-1]
    rows = x.numel() // width
    total = x if more is None else torch.empty_like(x)
    out = torch.empty_like(x)
    padded = triton.next_power_of_2(width)
    # A few rows, as in decoding, are spread over the device; many share programs.
    together = 1 if rows < _ELEMENTS else max(1, _ELEMENTS // padded)
    _normed[(triton.cdiv(rows, together),)](
        *(x, x if more is None else more.contiguous(), norm.weight, norm.weight if norm.bias is None else norm.bias),
        *(total, out, rows, norm.eps),
        COLUMNS=width,
        WIDTH=padded,
        ROWS=together,
        ADDED=more is not None,
        CENTRED=norm.bias is not None,
        GELU=norm.gelu,
        num_warps=4,
    )
    return total, out


@triton.jit(do_not_specialize=["rows"])
def _normed(
    x,  # (rows, C)
    more,
    weight,  # (C,)
    bias,
    total,  # (rows, C)
    out,
    rows,
    eps,
    COLUMNS: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    ADDED: tl.constexpr,
    CENTRED: tl.constexpr,
    GELU: tl.constexpr,
):
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, WIDTH)
    wide = column < COLUMNS
    at = row.to(tl.int64)[:, None] * COLUMNS + column[None, :]
    inside = (row < rows)[:, None] & wide[None, :]
    value = tl.load(x + at, mask=inside, other=0.0)
    if ADDED:
        # Rounded as a sum that is written and read again.
        value = (value.to(tl.float32) + tl.load(more + at, mask=inside, other=0.0).to(tl.float32)).to(value.dtype)
        tl.store(total + at, value, mask=inside)
    value = value.to(tl.float32)
    if CENTRED:
        value = tl.where(wide[None, :], value - tl.sum(value, 1)[:, None] / COLUMNS, 0.0)
    scale = tl.rsqrt(tl.sum(value * value, 1) / COLUMNS + eps)
    value = value * scale[:, None] * tl.load(weight + column, mask=wide, other=0.0)[None, :]
    if CENTRED:
        value += tl.load(bias + column, mask=wide, other=0.0)[None, :]
    if GELU:
        value = 0.5 * value * (1.0 + tl.erf(value * 0.7071067811865476))
    tl.store(out + at, value.to(out.dtype.element_ty), mask=inside)
