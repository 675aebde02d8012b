"""Sentences of a wide vocabulary, sampled from pocketsphinx's trigram model of English.

The grammar of `sentences` has two thousand words. Models trained on them alone generalise badly to unseen words, so
that everyday speech is synthesised worse than the grammar's. These sentences cover tens of thousands of words in
plausible, if meaningless, order.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from itertools import accumulate, islice

from slmcore.errors import must
from slmzoo.evaluation.optional import need
from slmzoo.evaluation.speech.asr import dictionary, language
from slmzoo.recipes.mini.items import NEW
from slmzoo.recipes.speech.everyday import MORE, PLAIN
from slmzoo.recipes.speech.sentences import words_of

__all__ = ["wide_sentences"]

_SHORTEST, _LONGEST = 5, 10
_FLATTER = 0.7
"""Exponent of a word's probability, by which rare words are more frequent than in speech."""
_CANDIDATES = 100
"""Number of candidates for the next word; all words would take a thousand times as long."""
_KEPT_OUT = re.compile("|".join(word for word, _ in NEW))
"""New words of the small benchmark, held out."""


def wide_sentences(n: int, seed: int = 7) -> list[str]:
    """Sample `n` distinct sentences, none of them in `plain`; a smaller `n` gives a prefix of the same list.

    Raises ValueError for a negative `n`, ImportError without pocketsphinx (extra `eval`).
    """
    if n < 0:
        raise ValueError(must("n", "a number of sentences >= 0", n))
    return list(islice(_stream(_Trigrams(), random.Random(f"{seed} wide")), n))


class _Trigrams:
    """pocketsphinx's English language model over the words of its dictionary."""

    def __init__(self) -> None:
        package = need("pocketsphinx", "The corpus's wide vocabulary")
        self._log = package.LogMath()
        self._model = package.NGramModel(package.Config(), self._log, str(language() / "en-us.lm.bin"))
        alone = {word: self._logp(word) for word in dictionary() if _wanted(word)}
        self._alone = {word: logp for word, logp in alone.items() if logp > self._log.log_to_ln(self._log.get_zero())}
        self._words = list(self._alone)
        self._cumulative = list(accumulate(math.exp(_FLATTER * logp) for logp in self._alone.values()))

    def after(self, history: list[str], rng: random.Random) -> str:
        """Sample a word after the last two of `history`: candidates regardless of it, then one of them given it."""
        candidates = rng.choices(self._words, cum_weights=self._cumulative, k=_CANDIDATES)
        before = history[:-3:-1]
        weights = [math.exp(self._logp(word, *before) - self._alone[word]) for word in candidates]
        return rng.choices(candidates, weights)[0]

    def _logp(self, word: str, *before: str) -> float:
        """Return the natural logarithm of p(word | before), the nearest word first."""
        return self._log.log_to_ln(self._model.prob([word, *before]))


def _wanted(word: str) -> bool:
    spelt = re.fullmatch(r"[a-z]+('[a-z]+)?", word) and (len(word) > 1 or word in ("a", "i"))
    return bool(spelt) and not _KEPT_OUT.search(word)


def _stream(trigrams: _Trigrams, rng: random.Random) -> Iterator[str]:
    seen = {tuple(words_of(sentence)) for sentence in PLAIN + MORE}
    while True:
        words = ["<s>"]
        for _ in range(rng.randint(_SHORTEST, _LONGEST)):
            words.append(trigrams.after(words, rng))
        if tuple(words[1:]) not in seen:
            seen.add(tuple(words[1:]))
            yield " ".join(words[1:]).capitalize() + "."
