"""A model's cache and the captured steps of its decoding, kept from one call to the next.

Capturing a step costs as much time as a second of speech. A captured step holds on to addresses, so the tensors it was
captured with stay, and sequences of another call, or those left of a batch, are copied into them.
"""

from __future__ import annotations

import copy
import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from slmcore.layers.cache import KVCache

__all__ = ["MOST_BYTES", "Kept", "KeptRule", "captured_step", "kept_for", "slots_needed"]

logger = logging.getLogger(__name__)

MOST_BYTES = 4 << 30
"""Largest cache that is kept."""
_SLOTS, _TOKENS, _COLUMNS = 256, 256, 64
"""Steps in which caches, rows of tokens and ragged tensors of rules grow, so that like calls share them."""
_WARM_UP = 3
_MOST_STEPS = 16
"""Captured steps of a model; the oldest makes room."""


@runtime_checkable
class KeptRule(Protocol):
    """Rule whose captured step serves other sequences too, once its tensors hold theirs."""

    rows: tuple[str, ...]
    """Attributes that have a row for each sequence."""
    ragged: tuple[str, ...]
    """Those of `rows` whose columns may be followed by zeros."""

    @property
    def constants(self) -> tuple[object, ...]:
        """Everything else that a step depends on."""
        ...


_models: weakref.WeakKeyDictionary[nn.Module, Kept] = weakref.WeakKeyDictionary()


@contextmanager
def kept_for(model: Any, prompts: Sequence[Tensor], rule: Any, limit: int, graph: bool | None) -> Iterator[Kept | None]:
    """Provide what is kept with `model` on the fast path, for one call at a time.

    None where `graph` is False, for rules that cannot be reused, while another thread decodes with the model, and for
    sequences so many or long that their cache is not to stay in memory.
    """
    if graph is False or not isinstance(model, nn.Module) or not isinstance(rule, KeptRule):
        yield None
        return
    kept = _models.setdefault(model, Kept())
    if not kept.lock.acquire(blocking=False):
        yield None
        return
    try:
        yield kept if kept.prepare(model, len(prompts), slots_needed(prompts, limit)) else None
    finally:
        kept.lock.release()


def slots_needed(prompts: Sequence[Tensor], limit: int) -> int:
    """Return the slots of the cache that `limit` tokens after the longest prompt need, with those of placeholders."""
    return max(map(len, prompts)) + limit + 2


class Kept:
    """Cache and captured steps of one model."""

    cache: KVCache

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._model: Any = None
        self._weights: tuple[int, ...] = ()
        self._rows = self._slots = 0
        self._steps: dict[tuple[object, ...], tuple[Any, Callable[[], None]]] = {}
        self._pool: Any = None

    def prepare(self, model: Any, rows: int, slots: int) -> bool:
        """Make the cache large enough; False if it would be larger than is kept."""
        rows = max(_power_of_two(rows), self._rows)
        slots = max(-(-slots // _SLOTS) * _SLOTS, self._slots)
        # A captured step reads the weights where they were.
        moved = self._weights != _addresses(model)
        if moved or (rows, slots) != (self._rows, self._slots):
            self._steps, self._pool, self._rows, self._slots = {}, None, 0, 0
            self.__dict__.pop("cache", None)
            one = model.cache(1, 1)
            if sum(x.numel() * x.itemsize for x in (*one.keys, *one.values)) * rows * slots > MOST_BYTES:
                return False
            self.cache = model.cache(rows, slots)
            self._model, self._weights = weakref.proxy(model), _addresses(model)
            self._rows, self._slots = rows, slots
        return True

    def room(self, limit: int) -> int:
        """Return the columns for up to `limit` tokens."""
        return -(-limit // _TOKENS) * _TOKENS

    def compacted(self, running: Tensor) -> KVCache:
        """Return the cache of the sequences `running`, moved to the front."""
        self.cache.compact(running)
        return self.cache.first(len(running))

    def loaded(self, decoding: Any) -> tuple[Any, Callable[[], None]]:
        """Return a decoding that holds what `decoding` does, and its captured step."""
        rows = _power_of_two(decoding.real)
        shapes = tuple(_columns(decoding.rule, name) for name in decoding.rule.rows)
        sampler = replace(decoding.sampler, seed=0)  # the seed is in the streams
        rule = type(decoding.rule), decoding.rule.constants
        key = (rows, decoding.tokens.shape[1], sampler, *rule, shapes)
        if key not in self._steps:
            if len(self._steps) == _MOST_STEPS:
                del self._steps[next(iter(self._steps))]
            self._steps[key] = self._captured(_blank(decoding, rows, self.cache.first(rows), self._model))
            self._weights = _addresses(self._model)  # the first step lays weights end to end
        template, step = self._steps[key]
        _fill(template, decoding, decoding.state)
        _fill(template.rule, decoding.rule, decoding.rule.rows)
        template.real = decoding.real
        return template, step

    def _captured(self, blank: Any) -> tuple[Any, Callable[[], None]]:
        # Nothing runs yet, but keys are written, where no sequence has its own: those before may be in use.
        blank.positions.fill_(self.cache.capacity - 2)
        for _ in range(_WARM_UP):
            blank.step()
        if self.cache.device.type != "cuda":
            return blank, blank.step
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        return blank, captured_step(blank.step, self._pool)


def captured_step(step: Callable[[], None], pool: Any = None) -> Callable[[], None]:
    """Capture a step as a CUDA graph: one launch instead of hundreds."""
    try:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=pool):
            step()
    except RuntimeError as error:
        logger.warning("The decoding step could not be captured as a CUDA graph and runs uncaptured: %s", error)
        return step
    return graph.replay


def _blank(decoding: Any, rows: int, cache: KVCache, model: Any) -> Any:
    """Return a decoding like `decoding` with `rows` rows, none of which is active."""
    made = copy.copy(decoding)
    made.model, made.cache, made.rule, made.real = model, cache, copy.copy(decoding.rule), 0
    for name in decoding.state:
        setattr(made, name, _zeros(getattr(decoding, name), rows))
    for name in decoding.rule.rows:
        setattr(made.rule, name, _zeros(getattr(decoding.rule, name), rows, *_columns(decoding.rule, name)))
    made.rows = torch.arange(rows, device=made.positions.device)
    return made


def _zeros(like: Tensor, rows: int, *columns: int) -> Tensor:
    return like.new_zeros(rows, *(columns or like.shape[1:]))


def _columns(rule: Any, name: str) -> tuple[int, ...]:
    """Return the shape of a row, of ragged ones that of their kept form."""
    shape = tuple(getattr(rule, name).shape[1:])
    return (-(-shape[0] // _COLUMNS) * _COLUMNS,) if name in rule.ragged else shape


def _fill(target: Any, source: Any, names: Sequence[str]) -> None:
    for name in names:
        new, old = getattr(source, name), getattr(target, name)
        old.zero_()
        old[tuple(slice(n) for n in new.shape)] = new


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _addresses(model: nn.Module) -> tuple[int, ...]:
    return tuple(x.data_ptr() for x in (*model.parameters(), *model.buffers()))
