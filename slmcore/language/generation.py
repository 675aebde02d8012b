"""Continuations of units, shared by language models of different vocabularies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from slmcore.checks import as_int, whole
from slmcore.errors import must
from slmcore.language.endings import UntilToken
from slmcore.layers.decoding import Decoded, decode
from slmcore.layers.sampling import Sampler
from slmcore.layers.transformer import Transformer

__all__ = ["check_prompts", "continued"]

_MOST_AT_ONCE = 64


def check_prompts(prompts: Any) -> None:
    """Raise a ValueError unless `prompts` is a list of at least one sequence."""
    if isinstance(prompts, str) or any(isinstance(each, str) or as_int(each) is not None for each in prompts):
        raise ValueError(must("prompts", "a list of sequences of units", prompts, "One prompt is `[prompt]`."))
    if not len(prompts):
        raise ValueError(must("prompts", "at least one prompt", prompts, "An empty prompt is `[]` in the list."))


def continued(
    model: Transformer,
    prompts: Sequence[Tensor],
    sampler: Sampler,
    *,
    end: int,
    max_new_units: int,
    min_new_units: int = 0,
    repetition_penalty: float = 1.0,
    never: Sequence[int] = (),
) -> list[Decoded]:
    """Continue each of `prompts`, ids (n_i,), n_i >= 1, until the token `end` (-1: none).

    `never`: ids that are not sampled. The same seed gives the same tokens regardless of later `prompts`.
    """
    least = whole("min_new_units", min_new_units, 0)
    most = whole("max_new_units", max_new_units, max(1, least))
    device = model.tok_embeddings.weight.device
    decoded: list[Decoded] = []
    for first, batch in _in_batches(prompts):
        ids = [prompt.to(device) for prompt in batch]
        about: dict[str, Any] = {"end": end, "least": least, "penalty": repetition_penalty, "never": never}
        rule = UntilToken(ids, model.config.vocab_size, device, **about)
        decoded += decode(model, ids, rule, sampler, most, first=first)
    return decoded


def _in_batches(prompts: Sequence[Tensor]) -> Iterator[tuple[int, Sequence[Tensor]]]:
    for first in range(0, len(prompts), _MOST_AT_ONCE):
        yield first, prompts[first : first + _MOST_AT_ONCE]
