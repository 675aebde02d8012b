"""Autoregressive generation from a transformer, under a rule that may force tokens and end sequences.

All state of a step is in tensors on the model's device, so that no step waits for the host. A forced token costs no
forward pass of its own: it shares that of the token before it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from slmcore.layers.cache import KVCache
from slmcore.layers.fast import switch
from slmcore.layers.kept import Kept, captured_step, kept_for, slots_needed
from slmcore.layers.sampling import Sampler
from slmcore.threads import Layered, for_linears

__all__ = ["FREE", "CachedModel", "Decoded", "Decoding", "Rule", "decode"]

FREE = -1
"""Marker in place of a forced token's id: none is forced."""
_CHECK_EVERY = 16
"""Steps between two checks by the host, which on a GPU wait for the device."""
_WARM_UP = 3
"""Steps before a CUDA graph is captured."""


class CachedModel(Layered, Protocol):
    """Language model with a cache of keys and values."""

    def cache(self, batch: int, capacity: int) -> KVCache:
        """Return an empty cache for `batch` sequences of up to `capacity` positions, on the model's device."""
        ...

    def hidden(self, ids: Tensor, positions: Tensor, cache: KVCache, limit: int) -> Tensor:
        """Return (B, T, dim) for ids (B, T) at `positions` (B, T), all < `limit`, and write them to the cache."""
        ...

    def output(self, hidden: Tensor) -> Tensor:
        """Return logits (..., vocab) of hidden vectors (..., dim)."""
        ...


class Rule(Protocol):
    """Constraints of a model on its sequences, as tensors with a row for each sequence."""

    def adjust(self, logits: Tensor) -> Tensor:
        """Return logits (B, vocab) to sample from."""
        ...

    def advance(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Process `tokens` (B,) where `valid` (B,) bool; return tokens now forced (FREE if none), and ended rows."""
        ...

    def select(self, rows: Tensor) -> None:
        """Keep only these rows, (n,) int64."""
        ...


@dataclass(frozen=True)
class Decoded:
    """One generated sequence, on the CPU."""

    tokens: Tensor
    """(n,) int64, including forced tokens and the one that ended the sequence."""
    log_probs: Tensor
    """(n,) float32: log-probability of each token under the model itself, 0 for forced ones."""
    finished: bool
    """Whether the rule ended it, rather than the limit of steps."""


class Decoding:
    """Batch of sequences during generation. All tensors have a row for each unfinished sequence.

    `step` updates them in place with static shapes, so that it can be captured as a CUDA graph.
    """

    state = (
        *("sequences", "streams", "positions", "counts", "limits", "active", "finished"),
        *("forced", "tokens", "log_probs", "logits"),
    )
    """Attributes that have a row for each sequence."""

    def __init__(
        self,
        model: CachedModel,
        prompts: Sequence[Tensor],
        rule: Rule,
        sampler: Sampler,
        limit: int,
        first: int = 0,
        *,
        cache: KVCache | None = None,
        room: int | None = None,
    ) -> None:
        """`cache`: one with room for the prompts and `limit` + 2 more; `room`: columns for tokens, at least `limit`."""
        self.model, self.rule, self.sampler, self.real = model, rule, sampler, len(prompts)
        self.cache = model.cache(len(prompts), slots_needed(prompts, limit)) if cache is None else cache
        device = self.cache.device
        lengths = torch.tensor([len(p) for p in prompts], device=device)
        self.rows = torch.arange(len(prompts), device=device)
        self.sequences = self.rows + first
        self.streams = sampler.streams(self.sequences)
        self.positions = lengths.clone()
        self.counts = torch.zeros_like(lengths)
        self.limits = torch.full_like(lengths, limit)
        self.active = torch.ones_like(lengths, dtype=torch.bool)
        self.finished = torch.zeros_like(self.active)
        self.forced = torch.full_like(lengths, FREE)
        # The last column takes tokens that are discarded.
        self.tokens = torch.zeros(len(prompts), (room or limit) + 1, dtype=torch.int64, device=device)
        self.log_probs = torch.zeros(self.tokens.shape, device=device)
        self.logits = self._prefill(prompts, lengths)

    def _prefill(self, prompts: Sequence[Tensor], lengths: Tensor) -> Tensor:
        ids = torch.nn.utils.rnn.pad_sequence(list(prompts), batch_first=True).to(lengths.device)
        positions = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        hidden = self.model.hidden(ids, positions, self.cache, ids.shape[1])
        return self.model.output(hidden[self.rows, lengths - 1])

    def step(self) -> None:
        """Sample a token of each sequence, with the one forced after it if there is one; then run one forward pass."""
        sampled = self.sampler.drawn(self.rule.adjust(self.logits), self.streams, self.counts)
        free = self.forced < 0
        tokens = torch.where(free, sampled, self.forced)
        log_probs = self.logits.float().log_softmax(-1).gather(1, tokens[:, None]).squeeze(1)
        start = self.positions.clone()
        self._take(tokens, self.active.clone(), log_probs * free)
        rides = self.active & (self.forced >= 0)
        followers = torch.where(rides, self.forced, tokens)
        self._take(followers, rides, torch.zeros_like(log_probs))
        # On a CPU checking is free, and a pass over one token is cheaper than one over two.
        width = 1 if _looks_are_free(rides.device) and not bool(rides.any()) else 2
        self._forward(torch.stack([tokens, followers], 1)[:, :width], start, rides)

    def _take(self, tokens: Tensor, valid: Tensor, log_probs: Tensor) -> None:
        """Record `tokens` where `valid`, pass them to the rule, and update `forced` and `active`."""
        place = torch.where(valid, self.counts, self.tokens.shape[1] - 1)[:, None]
        self.tokens.scatter_(1, place, tokens[:, None])
        self.log_probs.scatter_(1, place, log_probs[:, None])
        self.counts += valid
        self.positions += valid
        forced, ended = self.rule.advance(tokens, valid)
        self.forced.copy_(torch.where(valid, forced, FREE))
        self.finished |= valid & ended
        self.active &= ~self.finished & (self.counts < self.limits)

    def _forward(self, tokens: Tensor, start: Tensor, rides: Tensor) -> None:
        """Keys of a placeholder token land in the slot of the next real one, which overwrites them."""
        positions = start[:, None] + torch.arange(tokens.shape[1], device=tokens.device)
        reach = int(positions.max()) + 1 if _looks_are_free(positions.device) else self.cache.capacity
        hidden = self.model.hidden(tokens, positions, self.cache, reach)
        self.logits.copy_(self.model.output(hidden[self.rows, rides.long() * (tokens.shape[1] - 1)]))

    def selected(self, keep: Tensor, cache: KVCache) -> Decoding:
        """Return the decoding of some of the rows, whose `cache` is given."""
        made = copy.copy(self)
        made.cache, made.rule, made.real = cache, copy.copy(self.rule), len(keep)
        for name in self.state:
            setattr(made, name, getattr(self, name)[keep])
        made.rows = self.rows[: len(keep)]
        made.rule.select(keep)
        return made

    def results(self) -> dict[int, Decoded]:
        """Return the sequence of each row by its index."""
        counts, finished, numbers = self.counts.tolist(), self.finished.tolist(), self.sequences.tolist()
        tokens, log_probs = self.tokens.cpu(), self.log_probs.cpu()
        return {
            numbers[i]: Decoded(tokens[i, : counts[i]], log_probs[i, : counts[i]], finished[i])
            for i in range(self.real)
        }


def decode(
    model: CachedModel,
    prompts: Sequence[Tensor],
    rule: Rule,
    sampler: Sampler,
    limit: int,
    *,
    first: int = 0,
    graph: bool | None = None,
) -> list[Decoded]:
    """Continue each of `prompts`, int64 (n_i,) with n_i >= 1, by up to `limit` tokens.

    `first` is the index of the first sequence: its random numbers depend on the index, not on the batch. `graph`
    captures the step as a CUDA graph; None does so on CUDA.
    """
    weight = next(model.parameters())
    keeping = kept_for(model, prompts, rule, limit, graph) if switch.on(weight.device) else nullcontext()
    # Graphs are captured on the current device.
    with torch.cuda.device_of(weight), torch.inference_mode(), keeping as kept:
        with for_linears(model, sum(map(len, prompts))):
            where = {} if kept is None else {"cache": kept.cache.first(len(prompts)), "room": kept.room(limit)}
            decoding = Decoding(model, prompts, rule, sampler, limit, first, **where)
        with for_linears(model, len(prompts)):
            results = _decode(decoding, limit, graph) if kept is None else _decode_kept(decoding, limit, kept)
    # Copied outside: inference tensors could not be trained on.
    made = (results[number] for number in range(first, first + len(prompts)))
    return [Decoded(each.tokens.clone(), each.log_probs.clone(), each.finished) for each in made]


def _decode(decoding: Decoding, limit: int, graph: bool | None) -> dict[int, Decoded]:
    device = decoding.positions.device
    graph = device.type == "cuda" if graph is None else graph
    results: dict[int, Decoded] = {}
    taken, step, captured = 0, decoding.step, False
    while taken < limit:
        active = decoding.active.tolist()
        if not any(active):
            break
        if sum(active) <= len(active) // 2:
            results |= decoding.results()
            running = decoding.active.nonzero().squeeze(1)
            decoding = decoding.selected(running, decoding.cache.select(running))
            step, captured = decoding.step, False
        if graph and not captured and taken >= _WARM_UP:
            step, captured = captured_step(decoding.step), True
        chunk = 1 if _looks_are_free(device) else _WARM_UP if taken < _WARM_UP else _CHECK_EVERY
        for _ in range(min(chunk, limit - taken)):
            step()
        taken += chunk
    return results | decoding.results()


def _decode_kept(decoding: Decoding, limit: int, kept: Kept) -> dict[int, Decoded]:
    """Decode with steps that were captured for earlier calls, or are for later ones."""
    decoding, step = kept.loaded(decoding)
    results: dict[int, Decoded] = {}
    for first in range(0, limit, _CHECK_EVERY):
        active = decoding.active.tolist()
        if not any(active):
            break
        if sum(active) <= len(active) // 2:
            results |= decoding.results()
            running = decoding.active.nonzero().squeeze(1)
            decoding, step = kept.loaded(decoding.selected(running, kept.compacted(running)))
        for _ in range(min(_CHECK_EVERY, limit - first)):
            step()
    return results | decoding.results()


def _looks_are_free(device: torch.device) -> bool:
    return device.type == "cpu" and not switch.on(device)
