"""Training the unit language model: chunks that run over the utterances of a chapter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mistral_ulm import UnitLM, UnitTokenizer
from slmcore.errors import must

__all__ = ["chapter", "chunk_loss", "sample_chunks"]


def chapter(utterances: Sequence[Tensor], tokenizer: UnitTokenizer) -> Tensor:
    """One stream of ids, int64 (n,): the BOS of each utterance of deduplicated units ends the one before."""
    if not utterances:
        raise ValueError(must("utterances", "at least one sequence of units", "an empty list"))
    return torch.cat([*(tokenizer.encode(units) for units in utterances), torch.tensor([tokenizer.bos_id])])


def sample_chunks(chapters: Sequence[Tensor], length: int, batch: int, generator: torch.Generator) -> Tensor:
    """Ids (batch, length + 1): chapters drawn by their size, each chunk from a random place in one."""
    sizes = torch.tensor([len(c) - length for c in chapters], dtype=torch.float32).clamp(min=0)
    if not bool((sizes > 0).any()):
        longest = max(len(c) for c in chapters)
        raise ValueError(must("length", f"below the longest chapter ({longest} ids)", length, "Use shorter chunks."))
    drawn = torch.multinomial(sizes, batch, replacement=True, generator=generator).tolist()
    starts = [int(torch.randint(int(sizes[c]), (1,), generator=generator)) for c in drawn]
    return torch.stack([chapters[c][start : start + length + 1] for c, start in zip(drawn, starts, strict=True)])


def chunk_loss(model: UnitLM, chunks: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the next id; each chunk's first target, which has hardly a context, is left out."""
    logits = model.transformer(chunks[:, :-1])[:, 1:]
    return cross_entropy(logits.flatten(0, 1), chunks[:, 2:].flatten())
