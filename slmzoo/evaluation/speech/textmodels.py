"""Text likelihoods under a language model of transformers, or an n-gram model of a text file."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from slmcore.errors import must
from slmzoo.evaluation.optional import need

__all__ = ["NGram", "TextModel", "text_model"]

TextModel = Callable[[str], tuple[float, int]]
"""Function of a text to its negative log-likelihood in nats and the number of scored tokens."""

_END, _UNKNOWN = "</s>", "<unk>"


@cache
def text_model(name: str, device: str = "cpu") -> TextModel:
    """Load a text model: "ngram:FILE" for a trigram of a file with a sentence per line, else one of transformers.

    A causal model of transformers ("openai-community/gpt2") scores all tokens of the text after its beginning-of-text
    token (or end-of-text, if it has no other). Raises OSError for a missing file or model, ImportError without
    transformers.
    """
    if name.startswith("ngram:"):
        lines = Path(name.removeprefix("ngram:")).read_text(encoding="utf-8-sig").splitlines()
        return NGram(line.split() for line in lines)
    transformers = need("transformers", f"The text model {name}", "pip install 'slmzoo[transformers]'")
    tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    return _causal(tokenizer, transformers.AutoModelForCausalLM.from_pretrained(name).to(device).eval())


class NGram:
    """Word n-gram model, interpolated after Witten and Bell (1991, doi 10.1109/18.87000).

    The end of a sentence is scored; unseen words share one probability.
    """

    def __init__(self, sentences: Iterable[Sequence[str]], order: int = 3) -> None:
        self.order = order
        self._counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for words in sentences:
            if words:
                for history, word in self._events(words):
                    for start in range(len(history) + 1):
                        self._counts[history[start:]][word] += 1
        if not self._counts:
            raise ValueError(must("sentences", "at least one sentence", "none"))
        self._vocabulary = {*self._counts[()], _UNKNOWN}

    def __call__(self, text: str) -> tuple[float, int]:
        """Return the negative log-likelihood in nats of the words and the end, and their number."""
        known = [word if word in self._vocabulary else _UNKNOWN for word in text.split()]
        terms = [-math.log(self.probability(word, history)) for history, word in self._events(known)]
        return math.fsum(terms), len(terms)

    def probability(self, word: str, history: tuple[str, ...]) -> float:
        """Return p(word | history), for a word of the vocabulary, the end "</s>" or "<unk>"."""
        shorter = 1 / len(self._vocabulary) if not history else self.probability(word, history[1:])
        seen = self._counts.get(history)
        if seen is None:
            return shorter
        return (seen[word] + len(seen) * shorter) / (seen.total() + len(seen))

    def _events(self, words: Sequence[str]) -> Iterable[tuple[tuple[str, ...], str]]:
        padded = ["<s>"] * (self.order - 1) + [*words, _END]
        for end in range(self.order - 1, len(padded)):
            yield tuple(padded[end - self.order + 1 : end]), padded[end]


def _causal(tokenizer: Any, model: Any) -> TextModel:
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id

    @torch.no_grad()
    def score(text: str) -> tuple[float, int]:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if not ids:
            return 0.0, 0
        read = torch.tensor([[first, *ids]], device=model.device)
        logprobs = model(read).logits[0, :-1].float().log_softmax(-1)
        return -float(logprobs.gather(1, read[0, 1:, None]).sum(dtype=torch.float64)), len(ids)

    return score
