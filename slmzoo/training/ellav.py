"""Training ELLA-V: from framewise units and codec tokens of the same utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from ellav import EllaV, EllaVTokenizer

__all__ = ["Utterance", "check_durations", "masked_loss", "sample_batch"]


@dataclass(frozen=True)
class Utterance:
    """What ELLA-V learns one utterance from."""

    name: str
    units: Tensor
    """Framewise units at the tokenizer's phone rate, int64 (frames,)."""
    codes: Tensor
    """Codec tokens at the tokenizer's codec rate, int64 (tokens,)."""


def check_durations(utterance: Utterance, tokenizer: EllaVTokenizer, tolerance: float = 0.1) -> None:
    """Raise a ValueError where units and codec tokens differ by more than `tolerance` seconds (published: 0.1)."""
    units = len(utterance.units) / tokenizer.phone_token_rate
    codes = len(utterance.codes) / tokenizer.codec_token_rate
    if abs(units - codes) > tolerance:
        raise ValueError(
            f"{utterance.name}: units last {units:.2f} s and codec tokens {codes:.2f} s. "
            f"They must agree within {tolerance} s; make both from the same audio."
        )


def sample_batch(
    utterances: Sequence[Utterance], tokenizer: EllaVTokenizer, batch: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Ids and the mask of the targets that count, both (batch, longest), of utterances drawn at random."""
    drawn = torch.randint(len(utterances), (batch,), generator=generator).tolist()
    ids = []
    for index in drawn:
        utterance = utterances[index]
        phones = [f"u{unit}" for unit in utterance.units.tolist()]
        ids.append(tokenizer.encode_train(phones, utterance.codes))
    masks = [tokenizer.loss_mask(sequence) for sequence in ids]
    return pad_sequence(ids, batch_first=True), pad_sequence(masks, batch_first=True)


def masked_loss(model: EllaV, ids: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the codec tokens, EOP and EOS, which are not given at inference."""
    hidden = model.transformer.hidden(ids[:, :-1])
    counts = mask[:, 1:]
    return cross_entropy(model.transformer.output(hidden[counts]), ids[:, 1:][counts])
