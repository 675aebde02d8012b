"""Reader of fairseq's pickles without fairseq, omegaconf or any of their code: settings as plain dicts, beside tensors.

torch's restricted unpickler refuses unknown classes. The classes that fairseq's files name are registered as inert
records, which keep their arguments and do nothing; a file that names any other is refused.
"""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

__all__ = ["load", "named_code"]

_NAMES = (
    "argparse.Namespace",
    "collections.defaultdict",
    "typing.Any",
    *(f"builtins.{name}" for name in ("dict", "list", "int", "float", "bool", "str", "tuple", "bytes", "object")),
)
_EXPECTED = re.compile(r"(fairseq|omegaconf|typing|numpy|enum|pathlib)(\.\w+)+|argparse\.Namespace")
_GLOBAL = re.compile(r"GLOBAL (\S+)")
_MOST_NAMES = 200
_LOCK = threading.Lock()


class _Record:
    """Pickled object, kept as its constructor arguments and its state."""

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any, **_named: Any) -> _Record:
        record = super().__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


def load(path: Path, *, mmap: bool) -> Any:
    """Load a checkpoint with `weights_only=True`, and fairseq's settings in it as plain dicts, lists and values.

    Raises pickle.UnpicklingError if the file names unexpected code, and torch's errors if it is damaged.
    """
    names = list(_NAMES)
    while True:
        try:
            return _plain(_loaded(path, names, mmap), {})
        except pickle.UnpicklingError as error:
            code = named_code(error)
            if code is None or code in names or not _EXPECTED.fullmatch(code) or len(names) > _MOST_NAMES:
                raise
            names.append(code)


def named_code(error: BaseException) -> str | None:
    """Return the class or function that torch's reader refused."""
    found = _GLOBAL.search(str(error))
    return found[1] if found else None


def _loaded(path: Path, names: list[str], mmap: bool) -> Any:
    known: list[Any] = [(type(name, (_Record,), {}), name) for name in names]
    # torch has one list of known classes for the process.
    with _LOCK, torch.serialization.safe_globals(known):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Return the content with every record replaced by its value; `done`: results by identity."""
    if id(value) not in done:
        done[id(value)] = _replaced(value, done)
    return done[id(value)]


def _replaced(value: Any, done: dict[int, Any]) -> Any:
    if isinstance(value, _Record):
        return _plain(_content(value), done)
    if isinstance(value, Mapping):
        return {_plain(key, done): _plain(each, done) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)([_plain(each, done) for each in value])
    return value.__name__ if isinstance(value, type) and issubclass(value, _Record) else value


def _content(record: _Record) -> Any:
    """Return the value of an omegaconf node or container, or an object's attributes or arguments."""
    state = record.state
    if isinstance(state, tuple) and len(state) == 2:
        state = {**(state[0] or {}), **(state[1] or {})}
    if not isinstance(state, Mapping):
        return record.arguments[0] if len(record.arguments) == 1 else list(record.arguments)
    for name in ("_content", "_val"):
        if name in state:
            return state[name]
    return dict(state)
