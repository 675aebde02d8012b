"""Number of CPU threads by the work there is: threads that wait for each other need a core each.

A matrix product on several threads ends when the last of them has. Where another program holds one of the cores, each
product waits for the scheduler's next turn, some milliseconds: little beside a batch's products, but ten times what the
steps of a small decoder take. Those are computed by one thread.
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
"""Weights, 4 MB of them, that several threads read faster however few vectors they are multiplied with."""
LONG = 1 << 23
"""Multiply-adds of a product that lasts some tenths of a millisecond, many times what threads need to meet."""
_FOUND = torch.get_num_threads()


def worth(rows: int, weights: int) -> bool:
    """Return whether products of `rows` vectors with a matrix of so many `weights` are worth several CPU threads.

    The answer depends on the work alone, never on the machine, so that results do not either.
    """
    return weights >= _WIDE or rows * weights >= LONG


class Layered(Protocol):
    """A module, as far as its layers are asked for."""

    def modules(self) -> Iterator[nn.Module]:
        """Yield itself and all modules inside."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield its parameters, which lie on one device."""
        ...


def for_linears(module: Layered, rows: int) -> AbstractContextManager[None]:
    """Compute with the CPU threads that the linear layers of `module`, on average, are worth for `rows` vectors.

    See `for_products`. Layers of int8 count as those they stand for.
    """
    sizes = [getattr(m, "in_features", 0) * getattr(m, "out_features", 0) for m in module.modules()]
    linear = [size for size in sizes if size]
    return for_products(next(module.parameters()).device, rows, sum(linear) // max(1, len(linear)))


def one_unless_worth(device: torch.device) -> AbstractContextManager[None]:
    """Compute with one thread but for the products inside that are worth several, as `for_products` finds them.

    For programs that run a model file by file: reading, resampling and drawing are not worth several either.
    """
    return for_products(device, 0, 0)


@contextmanager
def for_products(device: torch.device, rows: int, weights: int) -> Iterator[None]:
    """Compute with the CPU threads that products of `rows` vectors with matrices of so many `weights` are worth.

    One thread for small products, otherwise as many as torch has, up to the quota of a container. The number is
    restored afterwards, in whatever order threads of a program enter and leave. What the user has set stays as it is
    (`set_by_user`); on other devices nothing changes.
    """
    most = cores.available() if worth(rows, weights) else 1
    with nullcontext() if device.type != "cpu" or set_by_user() else _Lowered(most):
        yield


def within_quota() -> AbstractContextManager[None]:
    """Compute with no more CPU threads than the quota of the container allows; the user's own number stays."""
    return nullcontext() if set_by_user() else _Lowered(cores.available())


def exactly_one() -> AbstractContextManager[None]:
    """Compute with one CPU thread whatever the user or the work says: results do not depend on the number then."""
    return _Lowered(1, also_inside=True)


def set_by_user() -> bool:
    """Return whether the number of threads is the user's: OMP_NUM_THREADS, MKL_NUM_THREADS or torch.set_num_threads.

    A number that torch takes by itself on this machine counts as nobody's.
    """
    if os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"):
        return True
    return torch.get_num_threads() not in {1, cores.available(), *_defaults()} and not _Lowered.active


def _defaults() -> set[int]:
    """Numbers of threads that torch begins with: all cores, or with MKL one for each pair that shares its units."""
    if not sys.platform.startswith("linux"):
        return {_FOUND}
    return {cores.affinity(), _physical(frozenset(os.sched_getaffinity(0)))}


@cache
def _physical(logical: frozenset[int]) -> int:
    """Number of cores behind those that the system schedules on, of which two may be one."""
    places = (Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list") for core in logical)
    try:
        return len({place.read_text(encoding="utf-8") for place in places})
    except OSError:
        return len(logical)


class _Own(threading.local):
    """Contexts that each thread of the program has entered."""

    depth = 0
    most = sys.maxsize


class _Lowered(AbstractContextManager[None]):
    """At most so many threads for a while; `also_inside`: whatever is entered within.

    torch keeps one number for the process, from which each thread of the program takes its own when it first computes;
    setting it changes both. A thread that comes while another one has lowered the number must not take that for its
    own: the number from before the first one came is what all return to.
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
