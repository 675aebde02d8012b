"""ELLA-V's decoding as the specification words it: one sequence, one token a step, whole forward passes, host logic."""

from __future__ import annotations

import torch

from ellav import EllaV

UNK, BOS, EOP, EOS = range(4)


def generate_one(model: EllaV, prompt: list[str], max_tokens: int, cap: int) -> tuple[list[int], bool, list[int]]:
    """Greedy codec tokens, whether it finished, and codec tokens of each unit."""
    table = model.tokenizer.token_to_id_dict
    phones: list[int] = []
    for name in prompt:
        token = table.get(name, UNK)
        if not phones or phones[-1] != token:
            phones.append(token)
    sequence = [*phones, BOS, phones[0]]
    forced: int | None = None
    count, index, kept = 0, 0, []
    for _ in range(max_tokens):
        logits = model.transformer(torch.tensor([sequence], device=model.device))[0, -1]
        token = int(logits.argmax()) if forced is None else forced
        if token == EOP:
            count, index = 0, index + 1
        else:
            count += 1
        if index >= len(phones):
            return _result(model, kept, True)
        kept.append(token)
        sequence.append(token)
        forced = None
        if token == EOP:
            forced = phones[index]
        elif count > cap + 1:
            forced = EOP
    return _result(model, kept, False)


def generate_of_lengths(model: EllaV, prompt: list[str], lengths: list[int]) -> list[int]:
    """Greedy codec tokens of a prompt without repeats, each phone as many as `lengths` says."""
    phones = [model.tokenizer.token_to_id_dict[name] for name in prompt]
    first, sequence, codes = model.tokenizer.first_codec, [*phones, BOS], []
    for phone, length in zip(phones, lengths, strict=True):
        sequence.append(phone)
        for _ in range(length):
            logits = model.transformer(torch.tensor([sequence], device=model.device))[0, -1]
            sequence.append(first + int(logits[first:].argmax()))
            codes.append(sequence[-1] - first)
        sequence.append(EOP)
    return codes


def _result(model: EllaV, kept: list[int], finished: bool) -> tuple[list[int], bool, list[int]]:
    first = model.tokenizer.first_codec
    durations = [0]
    for token in kept:
        if token == EOP:
            durations.append(0)
        elif token >= first:
            durations[-1] += 1
    return [t - first for t in kept if t >= first], finished, durations
