"""Initial weights from another model of the same kind and sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from torch import Tensor

from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, read
from slmzoo.convert import published

__all__ = ["identity", "initialise_from", "load_weights"]

_OF_TRAINING = frozenset({"dropout"})


class Trainable(Protocol):
    """Model of the zoo."""

    def checkpoint(self) -> Checkpoint: ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor], /) -> Any: ...


def initialise_from(file: str | None, model: Trainable) -> None:
    """Load the weights of a file, published or of the project, into `model`; without a file it is unchanged.

    Raises FileNotFoundError, CheckpointError for a file of another kind, ValueError for one of other sizes or, for an
    acoustic model, other ids.
    """
    if file is None:
        return
    load_weights(read(file, model.checkpoint().kind, published), model)


def load_weights(found: Checkpoint, model: Trainable) -> None:
    """Load the weights of a checkpoint into `model`. Raises ValueError for other sizes or ids."""
    wanted = model.checkpoint()
    for what in ("config", "tokenizer"):
        ours, theirs = (_compared(getattr(each, what)) for each in (wanted, found))
        other = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        if other:
            shown = {name: theirs.get(name) for name in other}
            wish = {name: ours.get(name) for name in other}
            raise ValueError(must("init", f"a model with {wish}", shown, "Give the options that the file has."))
    model.load_state_dict(found.state)


def identity(model: Trainable, **more: Any) -> dict[str, Any]:
    """Return a model's identity apart from its weights: sizes, ids, operating point, and the keywords given.

    Weights alone determine neither the number of heads nor the lambda of the units.
    """
    found = model.checkpoint()
    point = {} if found.operating_point is None else asdict(found.operating_point)
    point.pop("zoo", None)
    return {**point, **_compared(found.config), **_compared(found.tokenizer), **_compared(more)}


def _compared(sizes: Mapping[str, Any] | None) -> dict[str, Any]:
    # As read from a file: JSON has no tuples.
    plain = json.loads(json.dumps(sizes or {}))
    return {name: value for name, value in plain.items() if name not in _OF_TRAINING}
