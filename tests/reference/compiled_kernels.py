"""Compile the kernels of the fast paths for cards that are not there: `python -m tests.reference.compiled_kernels`."""

from __future__ import annotations

from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from slmcore.layers.fast.kernels import attention, gates, norms, products, slots

POINTERS = dict.fromkeys(("first", "last"), "i32") | {"positions": "i64"}
POINTERS |= dict.fromkeys(("gate", "rates", "weight", "gains", "bias", "tops", "totals"), "fp32")
CACHED = {"HEADS": 16, "KV_HEADS": 16, "DIM": 64}
FLASH = {"GROUP": 1, "DIM": 64, "WIDTH": 64, "QUERIES": 64, "KEYS": 64, "LOOP": 0}
SLOTS = {"EACH": 2, "GROUP": 1, "KV_HEADS": 16, "QUERIES": 16, "DIM": 64, "WIDTH": 64, "KEYS": 64, "LOOP": 0}
ROWS = {"COLUMNS": 1024, "WIDTH": 1024, "ROWS": 4, "ADDED": True}
FEW = {"ROWS": 2, "INNER": 1024, "WIDTH": 1024, "COLUMNS": 8, "PADDED": 2}
KERNELS: list[tuple[Any, dict[str, Any], tuple[str, ...]]] = [
    (attention._attend, {**FLASH, "CAUSAL": False, "BIASED": True}, ("q", "k", "v", "out", "by_offset")),
    (attention._attend, {**FLASH, "CAUSAL": True, "BIASED": False}, ("q", "k", "v", "out", "by_offset")),
    (norms._normed, {**ROWS, "CENTRED": True, "GELU": True}, ("x", "more", "total", "out")),
    (norms._normed, {**ROWS, "CENTRED": False, "GELU": False}, ("x", "more", "total", "out")),
    (gates._gated, {"COLUMNS": 1024}, ("x", "out")),
    (
        products._product,
        {**FEW, **dict.fromkeys(("ADDED", "NORMED", "GATED"), True)},
        ("x", "more", "weight", "total", "out"),
    ),
    (products._product, {**FEW, **dict.fromkeys(("ADDED", "NORMED", "GATED"), False)}, ("x", "weight", "out")),
    (slots._turn, {**CACHED, "HALF": 32, "PARTS": 16, "STORED": True}, ("qkv", "keys", "values")),
    (slots._turn, {**CACHED, "HALF": 32, "PARTS": 16, "STORED": False}, ("qkv", "keys", "values")),
    (slots._attend, {**SLOTS, "WHOLE": True}, ("q", "keys", "values", "means")),
    (slots._attend, {**SLOTS, "WHOLE": False}, ("q", "keys", "values", "means")),
    (slots._combine, {"HEADS": 16, "DIM": 64, "WIDTH": 64, "SPLITS": 4}, ("means", "out")),
]


def signature(arguments: list[str], constants: dict[str, Any], tensors: tuple[str, ...], dtype: str) -> dict[str, str]:
    """Types by argument: tensors of the model's dtype, other pointers, numbers."""
    numbers = {"eps": "fp32", "scale": "fp32"}
    pointers = {**POINTERS, **dict.fromkeys(tensors, dtype)}
    return {
        name: "constexpr"
        if name in constants
        else f"*{pointers[name]}"
        if name in pointers
        else numbers.get(name, "i32")
        for name in arguments
    }


def main() -> None:
    for function, constants, tensors in KERNELS:
        for dtype in ("fp32", "fp16", "bf16"):
            for capability in (80, 90):
                types = signature(function.arg_names, constants, tensors, dtype)
                source = ASTSource(fn=function, signature=types, constexprs=constants)
                compile(source, target=GPUTarget("cuda", capability, 32))


if __name__ == "__main__":
    main()
