"""Checks of arguments that many functions share."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["as_int", "described", "whole"]


def as_int(value: Any) -> int | None:
    """Return `value` as int where it is a whole number of any type (numpy's and torch's scalars too), else None.

    Bools, which numpy before 2.3 takes for numbers, and floats, even integral ones, do not count.
    """
    if isinstance(value, bool | np.bool_) or (isinstance(value, Tensor) and (value.ndim or value.dtype == torch.bool)):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def whole(name: str, value: Any, least: int, requirement: str = "", remedy: str = "") -> int:
    """Return the argument `name` as int; a ValueError unless it is a whole number >= `least`.

    `requirement`: its wording in the message, if other than "a whole number >= least".
    """
    found = as_int(value)
    if found is None or found < least:
        raise ValueError(must(name, requirement or f"a whole number >= {least}", value, remedy))
    return found


def described(value: object) -> object:
    """Describe a tensor by dtype and shape, for a message; return anything else unchanged."""
    return f"a {value.dtype} tensor of {tuple(value.shape)}" if isinstance(value, Tensor) else value
