"""Number of CPU threads by the amount of work: threads that wait for each other need a core each.

A matrix product on several threads ends when the last of them does. While another program occupies a core, each product
waits some milliseconds for the scheduler: little for the products of a batch, but ten times the duration of a step of a
small decoder. Those are computed by one thread.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from slmcore import cores

__all__ = [
    "LONG",
    "Layered",
    "exactly_one",
    "for_linears",
    "for_products",
    "one_unless_worth",
    "set_by_user",
    "within_quota",
    "worth",
]

_WIDE = 1 << 20
"""Weights (4 MB) that several threads read faster, however few vectors they are multiplied with."""
LONG = 1 << 23
"""Multiply-adds of a product of some tenths of a millisecond, many times the cost of synchronising threads."""
_FOUND = torch.get_num_threads()


def worth(rows: int, weights: int) -> bool:
    """Return whether products of `rows` vectors with a matrix of so many `weights` are worth several CPU threads.

    The answer depends on the work alone, not on the machine, so that results are reproducible.
    """
    return weights >= _WIDE or rows * weights >= LONG


class Layered(Protocol):
    """Module, as far as its layers are needed."""

    def modules(self) -> Iterator[nn.Module]:
        """Yield itself and all modules inside."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield its parameters, all on one device."""
        ...


def for_linears(module: Layered, rows: int) -> AbstractContextManager[None]:
    """Compute with the CPU threads that the linear layers of `module`, on average, are worth for `rows` vectors.

    See `for_products`. An int8 layer counts as the layer it replaces.
    """
    sizes = [getattr(m, "in_features", 0) * getattr(m, "out_features", 0) for m in module.modules()]
    linear = [size for size in sizes if size]
    return for_products(next(module.parameters()).device, rows, sum(linear) // max(1, len(linear)))


def one_unless_worth(device: torch.device) -> AbstractContextManager[None]:
    """Compute with one thread, except for products inside that are worth several (`for_products`).

    For programs that run a model file by file: reading, resampling and plotting are not worth several either.
    """
    return for_products(device, 0, 0)


@contextmanager
def for_products(device: torch.device, rows: int, weights: int) -> Iterator[None]:
    """Compute with the CPU threads that products of `rows` vectors with matrices of so many `weights` are worth.

    One thread for small products, otherwise as many as torch has, up to the quota of a container. The number is
    restored afterwards, in whatever order threads of a program enter and leave. A number set by the user is kept
    (`set_by_user`); on other devices nothing changes.
    """
    most = cores.available() if worth(rows, weights) else 1
    with nullcontext() if device.type != "cpu" or set_by_user() else _Lowered(most):
        yield


def within_quota() -> AbstractContextManager[None]:
    """Compute with no more CPU threads than the quota of the container allows; the user's own number stays."""
    return nullcontext() if set_by_user() else _Lowered(cores.available())


def exactly_one() -> AbstractContextManager[None]:
    """Compute with one CPU thread in any case, so that results do not depend on the number."""
    return _Lowered(1, also_inside=True)


def set_by_user() -> bool:
    """Return whether the number of threads is the user's: OMP_NUM_THREADS, MKL_NUM_THREADS or torch.set_num_threads.

    torch's own default on this machine does not count.
    """
    if os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"):
        return True
    return torch.get_num_threads() not in {1, cores.available(), *_defaults()} and not _Lowered.active


def _defaults() -> set[int]:
    """Return torch's default numbers of threads: one per core, or with MKL one per pair that shares its units."""
    if not sys.platform.startswith("linux"):
        return {_FOUND}
    return {cores.affinity(), _physical(frozenset(os.sched_getaffinity(0)))}


@cache
def _physical(logical: frozenset[int]) -> int:
    """Return the number of physical cores."""
    places = (Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list") for core in logical)
    try:
        return len({place.read_text(encoding="utf-8") for place in places})
    except OSError:
        return len(logical)


class _Own(threading.local):
    """Contexts that each thread of the program is in."""

    depth = 0
    most = sys.maxsize


class _Lowered(AbstractContextManager[None]):
    """Limit of the number of threads; `also_inside`: also within nested contexts.

    torch keeps one number for the process, from which each thread of the program takes its own when it first computes;
    setting it changes both. A thread that enters while another has lowered the number must not adopt it: all return to
    the number from before the first entered.
    """

    active = 0
    _before = 0
    _own = _Own()
    _lock = threading.Lock()

    def __init__(self, most: int, also_inside: bool = False) -> None:
        self._most, self._also_inside = most, also_inside

    def __enter__(self) -> None:
        cls, own = type(self), self._own
        with cls._lock:
            self._outer = torch.get_num_threads(), own.most
            if not cls.active:
                cls._before = self._outer[0]
            number = min(self._most, own.most, cls._before)
            own.most = number if self._also_inside else own.most
            own.depth += 1
            cls.active += 1
            _set(number)

    def __exit__(self, *_error: object) -> None:
        cls, own = type(self), self._own
        with cls._lock:
            cls.active -= 1
            own.depth -= 1
            number, own.most = self._outer
            _set(number if own.depth else cls._before)


def _set(number: int) -> None:
    if number != torch.get_num_threads():  # even the same number would end MKL's own choice of threads
        torch.set_num_threads(number)
