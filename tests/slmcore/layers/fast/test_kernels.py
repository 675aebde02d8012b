"""Every kernel against the plain function beside it: in Triton's interpreter on a CPU, and on a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from slmcore.layers.fast import attention, gates, norms, products, slots, switch
from slmcore.layers.fast.attention import GatedBias, Rows, attend_rows
from slmcore.layers.fast.norms import Norm, normed

pytest.importorskip("triton")
ROOT = Path(__file__).parents[4]
by_interpreter = pytest.mark.skipif(not switch.interpreted, reason="runs inside test_in_the_interpreter")
DEVICES = [pytest.param("cpu", marks=by_interpreter), pytest.param("cuda", marks=pytest.mark.gpu)]
# The interpreter multiplies matrices of bfloat16 as if they were integers.
DTYPES = [torch.float32, torch.float16, pytest.param(torch.bfloat16, marks=pytest.mark.gpu)]
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@pytest.mark.skipif(switch.interpreted, reason="this is the interpreter")
def test_in_the_interpreter() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", str(Path(__file__)), "-k", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(switch.interpreted, reason="the interpreter compiles nothing")
def test_the_kernels_compile_without_a_gpu() -> None:
    command = [sys.executable, "-m", "tests.reference.compiled_kernels"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.dtype == expected.dtype and found.isfinite().all()
    torch.testing.assert_close(found, expected, atol=TOLERANCE[found.dtype], rtol=TOLERANCE[found.dtype])


def drawn(device: str, dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).to(device, dtype)


SEGMENTS = {
    "one row": ([1], 2, 2, 16),
    "exactly a block, one more, one less": ([64, 65, 63], 2, 1, 16),
    "narrow and grouped heads": ([7, 130, 2], 4, 2, 8),
    "odd width": ([33], 3, 3, 20),
    "of the published width": ([70, 5], 2, 2, 64),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("causal", "biased"), [(False, True), (True, False), (True, True)])
@pytest.mark.parametrize("name", SEGMENTS)
@pytest.mark.parametrize("device", DEVICES)
def test_attention(device: str, name: str, biased: bool, causal: bool, dtype: torch.dtype) -> None:
    lengths, heads, kv_heads, dim = SEGMENTS[name]
    n, longest = sum(lengths), max(lengths)
    # Views into one product, as the models have them.
    qkv = drawn(device, dtype, n, heads + 2 * kv_heads, dim)
    q, k, v = qkv.split([heads, kv_heads, kv_heads], 1)
    by_offset = 2 * drawn(device, torch.float32, heads, 2 * longest + 5)
    bias = GatedBias(drawn(device, torch.float32, n, heads), by_offset) if biased else None
    rows = Rows.packed(lengths, q.device)
    close(attend_rows(q, k, v, rows, causal=causal, bias=bias), attention.plain(q, k, v, rows, causal, bias))


@pytest.mark.parametrize("device", DEVICES)
def test_attention_reads_nothing_beyond_a_segment(device: str) -> None:
    q, k, v = drawn(device, torch.float32, 3, 2 * 20, 2, 16)
    lengths = torch.tensor([20, 7], device=device)
    rows = Rows.padded(2, 20, lengths, q.device)
    expected = attend_rows(q, k, v, rows)
    for x in (q, k, v):
        x[27:] = torch.nan
    found = attend_rows(q, k, v, rows)
    assert torch.equal(found, expected) and not found[27:].any() and found[:27].all()


@pytest.mark.parametrize("device", DEVICES)
def test_a_segment_does_not_depend_on_those_beside_it(device: str) -> None:
    q, k, v = drawn(device, torch.float32, 3, 90, 2, 16)
    rows = Rows.packed([40, 50], q.device)
    alone = attend_rows(q[40:], k[40:], v[40:], Rows.packed([50], q.device), causal=True)
    assert torch.equal(attend_rows(q, k, v, rows, causal=True)[40:], alone)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["layer", "layer and gelu", "rms"])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("shape", [(1, 16), (3, 5, 48), (4097, 4)], ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_norm(device: str, shape: tuple[int, ...], added: bool, kind: str, dtype: torch.dtype) -> None:
    weight = drawn(device, torch.float32, shape[-1])
    bias = None if kind == "rms" else 1 + weight.flip(0)
    norm = Norm(weight, bias, 1e-5, gelu="gelu" in kind)
    x, more = 3 * drawn(device, dtype, *shape) + 1, drawn(device, dtype, *shape).flip(0) if added else None
    for found, expected in zip(normed(x, norm, more), norms.plain(x, norm, more), strict=True):
        close(found, expected)
    assert torch.equal(x, 3 * drawn(device, dtype, *shape) + 1)


CACHES = {
    "one sequence, one slot": (1, 1, 2, 2, 16, 40, [0]),
    "two tokens each, grouped heads": (2, 2, 4, 2, 8, 70, [63, 64, 0, 1]),
    "split, and a chunk that one of two queries reaches": (1, 2, 2, 2, 16, 1500, [511, 512]),
    "split into more than are used": (2, 1, 2, 1, 20, 1600, [1599, 3]),
    "many queries of a row": (1, 3, 24, 2, 16, 30, [4, 5, 6]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CACHES)
@pytest.mark.parametrize("device", DEVICES)
def test_slots(device: str, name: str, dtype: torch.dtype) -> None:
    batch, each, heads, kv_heads, dim, size, places = CACHES[name]
    positions = torch.tensor(places, device=device)
    qkv = drawn(device, dtype, batch * each, heads + 2 * kv_heads, dim)
    cache = drawn(device, dtype, 2, batch, kv_heads, size + 3, dim)[:, :, :, :size]
    expected_qkv, expected = qkv.clone(), cache.clone()
    slots.turn(qkv, positions, heads, 1e4, *cache)
    slots.plain_turn(expected_qkv, positions, heads, 1e4, *expected)
    close(qkv, expected_qkv)
    close(cache, expected)
    found = slots.attend_slots(qkv[:, :heads], *cache, positions)
    close(found, slots.plain_attend(qkv[:, :heads], *cache, positions))


@pytest.mark.parametrize("device", DEVICES)
def test_positions_that_sequences_share(device: str) -> None:
    shared = torch.arange(5, 6, device=device).expand(3, 1).flatten()
    assert shared.stride() == (0,)
    qkv = drawn(device, torch.float32, 3, 2 + 2 * 2, 16)
    cache = drawn(device, torch.float32, 2, 3, 2, 20, 16)
    expected_qkv, expected = qkv.clone(), cache.clone()
    slots.turn(qkv, shared, 2, 1e4, *cache)
    slots.plain_turn(expected_qkv, shared, 2, 1e4, *expected)
    close(qkv, expected_qkv)
    close(cache, expected)
    found = slots.attend_slots(qkv[:, :2], *cache, shared)
    close(found, slots.plain_attend(qkv[:, :2], *cache, shared))


@pytest.mark.parametrize("device", DEVICES)
def test_slots_not_in_use_are_not_read(device: str) -> None:
    cache = torch.full((2, 1, 1, 1100, 16), torch.nan, device=device)
    cache[:, :, :, :521] = drawn(device, torch.float32, 2, 1, 1, 521, 16)
    q, positions = drawn(device, torch.float32, 1, 1, 16), torch.tensor([520], device=device)
    close(slots.attend_slots(q, *cache, positions), slots.plain_attend(q, *cache[:, :, :, :521], positions))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", DEVICES)
def test_turning_in_place_leaves_values(device: str, dtype: torch.dtype) -> None:
    qkv = drawn(device, dtype, 5, 4 + 2 * 2, 16)
    positions = torch.tensor([0, 1, 2, 0, 4000], device=device)
    expected = qkv.clone()
    slots.plain_turn(expected, positions, 4, 1e4, None, None)
    before = qkv.clone()
    slots.turn(qkv, positions, 4, 1e4, None, None)
    close(qkv, expected)
    assert torch.equal(qkv[:, 6:], before[:, 6:]) and torch.equal(qkv[0], before[0])
    assert not torch.equal(qkv[1, :6], before[1, :6])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 1030])
@pytest.mark.parametrize("device", DEVICES)
def test_gates(device: str, width: int, dtype: torch.dtype) -> None:
    x = 3 * drawn(device, dtype, 3, 2 * width)
    close(gates.gated(x), gates.plain(x))


PRODUCTS = {
    "one row": (1, 16, 8),
    "one output with a gate": (2, 16, 2),
    "the published width": (2, 1024, 24),
    "longer than a part": (3, 4100, 6),
    "odd sizes": (4, 37, 10),
    "more rows than are few": (5, 48, 6),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("is_normed", "added"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("device", DEVICES)
def test_products(device: str, name: str, gate: bool, is_normed: bool, added: bool, dtype: torch.dtype) -> None:
    rows, inner, outputs = PRODUCTS[name]
    x, more = drawn(device, dtype, rows, inner), drawn(device, dtype, rows, inner + 1)[:, 1:] if added else None
    weight = drawn(device, dtype, outputs, inner) / inner**0.5
    norm = Norm(1 + drawn(device, torch.float32, inner), None, 1e-5) if is_normed else None
    found = products.product(x, weight, norm, more, gate)
    for part, expected in zip(found, products.plain(x, weight, norm, more, gate), strict=True):
        close(part, expected)
