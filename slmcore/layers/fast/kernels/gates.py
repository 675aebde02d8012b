"""SwiGLU's gate."""

# ruff: noqa: ANN001, ANN202, N803
# pyright: reportCallIssue=false, reportIndexIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["launch"]

_COLUMNS = 1024


def launch(x: Tensor) -> Tensor:
    """Run the kernel; x as for `slmcore.layers.fast.gates.gated`."""
    x = x.contiguous()
    rows, width = len(x), x.shape[1] // 2
    out = torch.empty(rows, width, dtype=x.dtype, device=x.device)
    _gated[rows, triton.cdiv(width, _COLUMNS)](x, out, width, COLUMNS=_COLUMNS, num_warps=4)
    return out


@triton.jit
def _gated(x, out, width, COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < width
    a = tl.load(x + row * 2 * width + column, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(x + row * 2 * width + width + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + column, (a / (1.0 + tl.exp(-a)) * b).to(out.dtype.element_ty), mask=inside)
