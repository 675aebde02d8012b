"""The baseline: ELLA-V's published decoding loop, re-implemented with torch's attention.

Each step builds its mask from Python lists, synchronises for every token, applies the rule sequence by sequence and
computes one token of each sequence, forced or not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ellav import EllaV
from ellav.tokenizer import EOP, EOS


@torch.inference_mode()
def generate(model: EllaV, prompts: list[list[str]], max_tokens: int, cap: int, top_p: float = 0.0) -> list[list[int]]:
    """Codec tokens of each prompt; with the rule and order of steps of the specification."""
    device = model.device
    ids = [model.tokenizer.encode_infer(prompt) for prompt in prompts]
    phones = [prompt[:-2].tolist() for prompt in ids]
    lengths = [len(prompt) for prompt in ids]
    cache = model.transformer.cache(len(ids), max(lengths) + max_tokens + 1)
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True).to(device)
    hidden = model.transformer.hidden(padded, None, cache, padded.shape[1])
    logits = torch.stack([model.transformer.output(hidden[i, n - 1]) for i, n in enumerate(lengths)])
    kept: list[list[int]] = [[] for _ in ids]
    index, count = [0] * len(ids), [0] * len(ids)
    for _ in range(max_tokens):
        tokens = [int(_pick(row, top_p)) for row in logits]
        for i, token in enumerate(tokens):
            count[i] = 0 if token == EOP else count[i] + 1
            index[i] += token == EOP
        if all(index[i] >= len(phones[i]) for i in range(len(ids))):
            break
        for i, token in enumerate(tokens):
            kept[i].append(token)
        positions = torch.tensor([[n + len(k) - 1] for n, k in zip(lengths, kept, strict=True)], device=device)
        step = torch.tensor([[token] for token in tokens], device=device)
        hidden = model.transformer.hidden(step, positions, cache, int(positions.max()) + 1)
        logits = model.transformer.output(hidden[:, 0])
        for i in range(len(ids)):
            _force(logits[i], tokens[i], phones[i], index[i], count[i], cap)
    first = model.tokenizer.first_codec
    return [[t - first for t in sequence if t >= first] for sequence in kept]


def _pick(row: Tensor, top_p: float) -> Tensor:
    probabilities, order = row.float().softmax(-1).sort(descending=True)
    probabilities[probabilities.cumsum(-1) - probabilities > top_p] = 0
    return order[torch.multinomial(probabilities, 1)]


def _force(row: Tensor, token: int, phones: list[int], index: int, count: int, cap: int) -> None:
    forced = None
    if token == EOP and index < len(phones):
        forced = phones[index]
    if count > cap + 1:
        forced = EOP
    if index >= len(phones):
        forced = EOS
    if forced is not None:
        row.fill_(-torch.inf)
        row[forced] = 0
