"""A token's keys and values into the slots of a cache, and its attention over the slots in use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from slmcore.layers.fast.switch import kernels_run
from slmcore.layers.positions import rotary, rotate

__all__ = ["attend_slots", "plain_attend", "plain_turn", "turn"]


def turn(qkv: Tensor, positions: Tensor, heads: int, theta: float, keys: Tensor | None, values: Tensor | None) -> None:
    """Give queries and keys of qkv (N, heads + 2 G, D) their rotary `positions` (N,), in place.

    With a layer's `keys` and `values` (B, G, slots, D), N / B consecutive rows for each of B, keys and values are
    written to the slots of their positions instead.
    """
    if not kernels_run(qkv):
        plain_turn(qkv, positions, heads, theta, keys, values)
        return
    from slmcore.layers.fast.kernels.slots import launch_turn

    with torch.cuda.device_of(qkv):  # Triton launches on the current device
        launch_turn(qkv, positions, heads, theta, keys, values)


def plain_turn(
    qkv: Tensor, positions: Tensor, heads: int, theta: float, keys: Tensor | None, values: Tensor | None
) -> None:
    """Reference implementation of `turn` by torch's indexing."""
    kv_heads = (qkv.shape[1] - heads) // 2
    turned = qkv[:, : heads + kv_heads]
    wide = torch.promote_types(qkv.dtype, torch.float32)
    angles = rotary(positions[:, None], qkv.shape[2], theta, wide)
    new = rotate(turned[:, :, None], angles).squeeze(2)
    if keys is None or values is None:
        turned.copy_(new)
        return
    qkv[:, :heads] = new[:, :heads]
    rows = torch.arange(len(qkv), device=qkv.device) // (len(qkv) // len(keys))
    keys.transpose(1, 2)[rows, positions] = new[:, heads:]
    values.transpose(1, 2)[rows, positions] = qkv[:, heads + kv_heads :]


def attend_slots(q: Tensor, keys: Tensor, values: Tensor, positions: Tensor) -> Tensor:
    """Attention of q (N, H, D) over the slots of its row of keys and values (B, G, slots, D) up to its position (N,).

    Returns (N, H, D). Nothing beyond a row's last position is read.
    """
    if not kernels_run(q):
        return plain_attend(q, keys, values, positions)
    from slmcore.layers.fast.kernels.slots import launch_attend

    with torch.cuda.device_of(q):  # Triton launches on the current device
        return launch_attend(q, keys, values, positions)


def plain_attend(q: Tensor, keys: Tensor, values: Tensor, positions: Tensor) -> Tensor:
    """Reference implementation of `attend_slots` over all slots, with a mask."""
    batch = len(keys)
    seen = torch.arange(keys.shape[2], device=q.device) <= positions.view(batch, 1, -1, 1)
    queries = q.unflatten(0, (batch, -1)).transpose(1, 2)
    grouped = keys.shape[1] != q.shape[1]
    return scaled_dot_product_attention(queries, keys, values, seen, enable_gqa=grouped).transpose(1, 2).flatten(0, 1)
