"""Sampling of the next token, with random numbers that depend on sequence and step, not on the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from slmcore.checks import whole
from slmcore.errors import must

__all__ = ["Sampler", "normal", "uniform"]

_SMALLEST = torch.finfo(torch.float32).tiny
_COLD = 1e-20
"""Temperature below which the largest logit is subtracted before the division, which would overflow otherwise."""


def uniform(seed: int, sequences: Tensor, steps: Tensor) -> Tensor:
    """Return a uniform float32 in [0, 1) for each (seed, sequence, step), int64 tensors of one shape; stateless.

    Each argument is mixed in by the finaliser of splitmix64 (Steele et al. 2014, doi 10.1145/2660193.2660195).
    """
    return _uniform(_stream(seed, sequences), steps)


def _stream(seed: int, sequences: Tensor) -> Tensor:
    return _mix(_mix(torch.full_like(sequences, seed)) + sequences)


def _uniform(streams: Tensor, steps: Tensor) -> Tensor:
    return _shift(_mix(streams + steps), 40).to(torch.float32) / (1 << 24)


def normal(seed: int, sequences: Tensor, steps: Tensor) -> Tensor:
    """Return a standard normal float32 for each (seed, sequence, step), int64 tensors of one shape.

    Two uniform numbers make one (Box & Muller 1958, doi 10.1214/aoms/1177706645); none is beyond 5.8.
    """
    radius, angle = (uniform(seed, sequences, 2 * steps + second) for second in (0, 1))
    return (-2 * (1 - radius).log()).sqrt() * (2 * math.pi * angle).cos()


def _mix(x: Tensor) -> Tensor:
    x = x + _signed(0x9E3779B97F4A7C15)
    x = (x ^ _shift(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shift(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's own drags the sign along."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Sampling of a token from logits."""

    temperature: float = 1.0
    """Divisor of the logits; 0, or less than float32 can divide by, is greedy."""
    top_p: float = 1.0
    """Probability mass of the likeliest tokens to sample from; 0 is greedy (Holtzman et al. 2020)."""
    top_k: int | None = None
    """Number of likeliest tokens to sample from; None keeps all."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(must("temperature", "a number >= 0", self.temperature, "0 takes the likeliest token."))
        if not 0 <= self.top_p <= 1:
            raise ValueError(must("top_p", "between 0 and 1", self.top_p, "1 keeps all tokens, 0 the likeliest."))
        if self.top_k is not None:
            object.__setattr__(self, "top_k", whole("top_k", self.top_k, 1, "a whole number >= 1 or None"))
        seed = whole("seed", self.seed, 1 - (1 << 63), "a whole number of 64 bits")
        if seed >= 1 << 63:
            raise ValueError(must("seed", "a whole number of 64 bits", seed))
        object.__setattr__(self, "seed", seed)

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken and no random number is used."""
        return self.temperature < _SMALLEST or self.top_p == 0 or self.top_k == 1

    def __call__(self, logits: Tensor, sequences: Tensor, steps: Tensor) -> Tensor:
        """Sample tokens (B,) int64 from logits (B, vocab); `sequences`, `steps` (B,) int64: see `uniform`."""
        return self.drawn(logits, self.streams(sequences), steps)

    def streams(self, sequences: Tensor) -> Tensor:
        """Return the state of the random numbers of each sequence, int64 (B,), which is all that the seed decides."""
        return _stream(self.seed, sequences)

    def drawn(self, logits: Tensor, streams: Tensor, steps: Tensor) -> Tensor:
        """Return tokens as a call does, from the `streams` of the sequences."""
        if self.greedy:
            return logits.argmax(-1)
        kept = logits if logits.dtype == torch.float64 else logits.float()
        if self.temperature < _COLD:
            kept = kept - kept.amax(-1, keepdim=True)
        probabilities, order = (kept / self.temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
        if self.top_k is not None:
            probabilities, order = probabilities[:, : self.top_k], order[:, : self.top_k]
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before > self.top_p * probabilities.sum(-1, keepdim=True), 0.0)
        upto = probabilities.cumsum(-1)
        target = _uniform(streams, steps)[:, None] * upto[:, -1:]
        # A product rounded up to the total would point past the last kept token.
        rank = torch.minimum((upto <= target).sum(-1), (probabilities > 0).sum(-1) - 1)
        return order.gather(-1, rank[:, None]).squeeze(-1)
