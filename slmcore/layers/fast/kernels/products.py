"""Products of few rows with a weight, bound by the memory that the weight is read from."""

# ruff: noqa: ANN001, ANN202, N803
# pyright: reportCallIssue=false, reportIndexIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from slmcore.layers.fast.norms import Norm

__all__ = ["launch"]

_ELEMENTS = 8192
"""Weights that a program holds at once: its loads under way."""
_PROGRAMS = 256
"""Programs that fill a large card."""


def launch(x: Tensor, weight: Tensor, norm: Norm | None, more: Tensor | None, gate: bool) -> tuple[Tensor, Tensor]:
    """Run the kernel; arguments as for `slmcore.layers.fast.products.product`."""
    x, weight = x.contiguous(), weight.contiguous()
    rows, inner = x.shape
    outputs = len(weight) // 2 if gate else len(weight)
    total = x if more is None else torch.empty_like(x)
    out = torch.empty(rows, outputs, dtype=x.dtype, device=x.device)
    # A norm needs whole rows.
    whole = triton.next_power_of_2(inner)
    width = whole if norm is not None else min(whole, _ELEMENTS // 4)
    columns = max(1, min(8, _ELEMENTS // width, triton.next_power_of_2(outputs // _PROGRAMS)))
    _product[(triton.cdiv(outputs, columns),)](
        *(x, x if more is None else more.contiguous(), weight, x if norm is None else norm.weight, total, out),
        *(outputs, 0.0 if norm is None else norm.eps),
        ROWS=rows,
        INNER=inner,
        WIDTH=width,
        COLUMNS=columns,
        PADDED=max(2, triton.next_power_of_2(rows)),
        ADDED=more is not None,
        NORMED=norm is not None,
        GATED=gate,
        num_warps=4,
    )
    return total, out


@triton.jit
def _product(
    x,  # (ROWS, INNER)
    more,
    weight,  # (outputs or 2 outputs, INNER)
    gains,  # (INNER,), of the norm
    total,  # (ROWS, INNER)
    out,  # (ROWS, outputs)
    outputs,
    eps,
    ROWS: tl.constexpr,
    INNER: tl.constexpr,
    WIDTH: tl.constexpr,  # of the parts in which rows are read
    COLUMNS: tl.constexpr,  # outputs of a program
    PADDED: tl.constexpr,
    ADDED: tl.constexpr,
    NORMED: tl.constexpr,
    GATED: tl.constexpr,
):
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    i, row = tl.arange(0, WIDTH), tl.arange(0, PADDED)
    is_output = column < outputs
    sums = tl.zeros((PADDED, COLUMNS), tl.float32)
    others = tl.zeros((PADDED, COLUMNS), tl.float32)
    for begin in tl.static_range(0, INNER, WIDTH):
        inside = begin + i < INNER
        wanted = is_output[:, None] & inside[None, :]
        at = weight + begin + i[None, :]
        a = tl.load(at + column[:, None].to(tl.int64) * INNER, mask=wanted, other=0.0)
        b = a
        if GATED:
            b = tl.load(at + (outputs + column)[:, None].to(tl.int64) * INNER, mask=wanted, other=0.0)
        for r in tl.static_range(ROWS):
            value = tl.load(x + r * INNER + begin + i, mask=inside, other=0.0)
            if ADDED:
                # Rounded as a sum that is written and read again.
                value = value.to(tl.float32) + tl.load(more + r * INNER + begin + i, mask=inside, other=0.0)
                value = value.to(x.dtype.element_ty)
                tl.store(total + r * INNER + begin + i, value, mask=inside & (tl.program_id(0) == 0))
            value = value.to(tl.float32)
            if NORMED:
                value *= tl.rsqrt(tl.sum(value * value, 0) / INNER + eps)
                value = value * tl.load(gains + i, mask=inside, other=0.0)
                value = value.to(x.dtype.element_ty).to(tl.float32)
            mine = (row == r)[:, None]
            sums += tl.where(mine, tl.sum(a.to(tl.float32) * value[None, :], 1)[None, :], 0.0)
            if GATED:
                others += tl.where(mine, tl.sum(b.to(tl.float32) * value[None, :], 1)[None, :], 0.0)
    if GATED:
        # Rounded as products that are written and read again.
        sums = sums.to(out.dtype.element_ty).to(tl.float32)
        others = others.to(out.dtype.element_ty).to(tl.float32)
        sums = sums / (1.0 + tl.exp(-sums)) * others
    at = out + row[:, None] * outputs + column[None, :]
    tl.store(at, sums.to(out.dtype.element_ty), mask=(row < ROWS)[:, None] & is_output[None, :])
