"""Reader of the centres of a scikit-learn k-means in a joblib pickle (`km.bin`), without either package or their code.

joblib writes a pickle in which each array is a wrapper, whose state (shape, order, dtype) is followed in the stream by
the array's bytes. Classes become inert records that keep their state, so that unpickling cannot run code; a file that
names unexpected classes is refused.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import pickle
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmcore.errors import CheckpointError, must

__all__ = ["is_one", "load"]

_CENTRES = "cluster_centers_"
_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""Pickled number that follows the protocol in torch's older format."""
_LZ4 = b"\x04\x22\x4d\x18"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_LARGEST = 1 << 30
_EXPECTED = ("sklearn.", "numpy.", "scipy.", "joblib.")
_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_PLAIN = ("_codecs.encode", "copyreg._reconstructor", "builtins.object", "collections.OrderedDict")


def is_one(path: Path) -> bool:
    """Whether a file is a pickle that joblib writes, compressed or not, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] == _LZ4 or head[:2] in _ZLIB or any(head.startswith(magic) for magic in _OPENERS):
        return True
    return head[:1] == b"\x80" and head[2 : 2 + len(_TORCH_MAGIC)] != _TORCH_MAGIC


def load(path: Path) -> dict[str, Tensor]:
    """Return `{"codebook": centres}`, float32 (k, dim).

    Raises pickle.UnpicklingError if the file names unexpected code, CheckpointError for lz4 and for a pickle without
    centres, and the errors of decompression if it is damaged.
    """
    stream = _Stream(_decompressed(path))
    model = _Reader(stream).load()
    state = model.state if isinstance(model, _Record) else model
    found = state.get(_CENTRES) if isinstance(state, Mapping) else None
    if not isinstance(found, _Array):
        raise CheckpointError(f"{path.name} holds no k-means of scikit-learn: it has no array {_CENTRES}.")
    return {"codebook": torch.from_numpy(found.array.astype(np.float32))}


def _decompressed(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(6)
    if head[:4] == _LZ4:
        remedy = f"Write it again where joblib and lz4 are installed: joblib.dump(joblib.load({path.name!r}), 'km.bin')"
        raise CheckpointError(f"{path.name} is compressed by lz4, which is not read here. {remedy}.")
    content = path.read_bytes()
    if head[:2] in _ZLIB:
        inflated = zlib.decompressobj()
        content = inflated.decompress(content, _LARGEST)
        if not inflated.eof:
            raise CheckpointError(
                f"{path.name} is damaged: its compressed content ends early, or is larger than 1 GiB."
            )
        return content
    for magic, opened in _OPENERS.items():
        if head.startswith(magic):
            with opened(io.BytesIO(content)) as file:
                return file.read(_LARGEST)
    return content


_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"]\x00\x00": lzma.open,
}


class _Stream:
    """Stream without read-ahead, so that arrays between the pickle's parts can be read from it."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, count: int = -1) -> bytes:
        """Read so many bytes."""
        return self._file.read(count)

    def readline(self) -> bytes:
        """Read a line."""
        return self._file.readline()

    def exactly(self, count: int) -> bytes:
        """Read exactly so many bytes; an EOFError if there are fewer."""
        found = self._file.read(count)
        if len(found) < count:
            raise EOFError("it ends within an array")
        return found


class _Record:
    """Pickled object: its arguments and its state."""

    arguments: tuple[Any, ...]
    state: Any = None

    def __new__(cls, *arguments: Any) -> Any:
        """Keep the arguments, and do nothing with them."""
        record = super().__new__(cls)
        record.arguments = arguments
        return record

    def __init__(self, *_arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, item: Any) -> None:
        """Drop the items of a list-like object."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Drop the items of a dict-like object."""


class _Array(_Record):
    """joblib's array wrapper, with the array that follows it."""

    array: np.ndarray


class _Reader(pickle.Unpickler):
    def __init__(self, stream: _Stream) -> None:
        super().__init__(stream)

        def take(wrapper: _Array, state: Mapping[str, Any]) -> None:
            wrapper.array = _array(state, stream)

        self._wrapper = type("Array", (_Array,), {"__setstate__": take})

    def find_class(self, module: str, name: str, /) -> Any:
        """Return a class of inert records for an expected name; raise for any other."""
        full = f"{module}.{name}"
        if full == _WRAPPER:
            return self._wrapper
        if full in _PLAIN or full.startswith(_EXPECTED):
            return type(full, (_Record,), {})
        raise pickle.UnpicklingError(f"GLOBAL {full} is none of the classes of a k-means")


def _array(state: Mapping[str, Any], stream: _Stream) -> np.ndarray:
    """Read the array of a wrapper. Raises a ValueError for an array of objects, which would be a nested pickle."""
    dtype = _dtype(state["dtype"])
    if state.get("numpy_array_alignment_bytes") is not None:
        stream.exactly(stream.exactly(1)[0])
    shape = tuple(state["shape"])
    if not all(isinstance(size, int) and 0 <= size < _LARGEST for size in shape):
        raise ValueError(must("shape", "a tuple of sizes", shape))
    values = np.frombuffer(stream.exactly(math.prod(shape) * dtype.itemsize), dtype)
    return values.reshape(shape[::-1]).T if state["order"] == "F" else values.reshape(shape)


def _dtype(record: Any) -> np.dtype:
    """Return the numpy dtype of a pickled one."""
    name = record.arguments[0] if isinstance(record, _Record) and record.arguments else None
    if not isinstance(name, str) or name[:1] not in ("f", "i", "u", "b") or not name[1:].isdigit():
        raise ValueError(must("dtype", "a type of numbers in every array of a k-means", name))
    order = record.state[1] if isinstance(record.state, tuple) and len(record.state) > 1 else "="
    return np.dtype(name).newbyteorder(order if order in ("<", ">", "=", "|") else "=")
