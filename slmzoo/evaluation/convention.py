"""The convention of a metric: the definition of this project, or that of GSLM's published code where it differs."""

from __future__ import annotations

from typing import Literal, get_args

from slmcore.errors import must

__all__ = ["Convention", "is_gslm"]

Convention = Literal["slmzoo", "gslm"]


def is_gslm(convention: Convention) -> bool:
    """Return whether the convention is that of GSLM; a ValueError for one that is not known."""
    if convention not in get_args(Convention):
        raise ValueError(must("convention", f"one of {', '.join(get_args(Convention))}", convention))
    return convention == "gslm"
