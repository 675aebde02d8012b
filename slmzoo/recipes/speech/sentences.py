"""Plain English sentences of the project's own, from a small grammar, for the demo's synthetic corpus.

A slot `{person:p}` is a word of a category in a form, `{WHO}` another rule of the grammar. Training and test sentences
are disjoint, and one in sixteen pairs of neighbouring words from slots is held out: no training sentence has one,
every other test sentence has.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Literal

from slmcore.errors import must
from slmzoo.recipes.speech.words import ONES, TENS, WORDS, noun, verb

__all__ = ["GRAMMAR", "TEMPLATES", "held_out", "sentences", "vocabulary", "words_of"]

Split = Literal["train", "test"]

GRAMMAR: dict[str, tuple[str, ...]] = {
    # singular subjects, then all that take the plain verb, then those that take "are"
    "WHO": (
        *("the {person}",) * 3,
        *("the {adjp} {person}", "{name}") * 2,
        "my {person}", "a {adjp} {person}", "her {person}", "his {adjp} {person}", "the {person} from {town}",
    ),
    "HE": (*("{WHO}",) * 4, "he", "she", "everyone", "somebody", "nobody", "the {crowd}"),
    "WE": ("{PEOPLE}", "{PEOPLE}", "i", "we", "they", "you"),
    "ARE": ("{PEOPLE}", "{PEOPLE}", "we", "they", "you"),
    "PEOPLE": (
        "the {person:p}", "the {adjp} {person:p}", "my {person:p}", "{name} and {name}",
        "the {person} and the {person}",
        "{small} {person:p}", "some {person:p}", "many {adjp} {person:p}", "our {person:p}", "all the {person:p}",
    ),
    "WHOM": (
        "the {person}", "the {adjp} {person}", "my {person}", "{name}", "him", "her", "them", "us", "me",
        "the {person:p}", "her {person:p}", "your {person}",
    ),
    "THING": (
        *("the {thing}", "a {adjt} {thing}", "the {adjt} {thing}") * 2,
        "my {thing}", "his {adjt} {thing}", "this {thing}", "those {thing:p}", "{small} {thing:p}", "the {thing:p}",
        "a {color} {thing}", "the {color} {thing:p}", "some {adjt} {thing:p}", "a {thing} and a {thing}",
        "her {color} {thing}",
    ),
    "FOOD": (
        "the {food}", "some {food}", "the {adjf} {food}", "{small} {snack:p}", "a {adjf} {snack}", "{food} and {food}",
        "some {adjf} {snack:p}", "a cup of {drink}", "a glass of {drink}", "{food} with {food}",
    ),
    "ANIMAL": ("the {animal}", "the {adja} {animal}", "a {adja} {animal}", "my {animal}", "that {animal}"),
    "AT": (
        *("in the {inside}", "near the {building}") * 2,
        "in the {adjo} {inside}", "behind the {building}", "on the {surface}", "next to the {furniture}", "in {town}",
        "by the {furniture}", "at the {building}", "under the {furniture}", "in front of the {building}", "at home",
        "outside", "on the {road}",
    ),
    "TO": (
        *("to the {building}", "across the {open}") * 2,
        "through the {open}", "down the {road}", "up the {road}", "into the {building}", "from the {building}",
        "to {town}", "through the {adjo} {open}", "toward the {building}", "along the {road}",
        "out of the {building}", "home",
    ),
    "PAST": (
        "yesterday", "last {period}", "on {day}", "in {month}", "in the {daypart}", "at {hour} o'clock",
        "{small} {unit:p} ago", "this morning", "after {duty}", "before {duty}", "during the {event}",
        "before the {event}",
        "yesterday {daypart}", "on {day} {daypart}", "after the {event}",
    ),
    "SOON": ("tomorrow", "next {period}", "on {day}", "in {small} {unit:p}", "soon", "tonight", "tomorrow {daypart}"),
    "NUMBER": ("{small}", "{large}", "{TEENS}", "{tens} {ones}", "a hundred", "{ones} hundred", "a thousand"),
    "TEENS": ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    "DO": (
        "{handle} {THING}", "{consume} {FOOD}", "{treat} {WHOM}", "{move} {TO}", "{act} {AT}",
        "{tell} the {idea}", "{hand} {WHOM} {THING}",
    ),
    "DID": (
        "{handle:d} {THING}", "{consume:d} {FOOD}", "{treat:d} {WHOM}", "{move:d} {TO}", "{act:d} {AT}",
        "{tell:d} the {idea}", "{hand:d} {WHOM} {THING}",
    ),
    "DOES": (
        "{handle:s} {THING}", "{consume:s} {FOOD}", "{treat:s} {WHOM}", "{move:s} {TO}", "{act:s} {AT}",
        "{like:s} {subject}",
    ),
    "DOING": (
        "{handle:g} {THING}", "{consume:g} {FOOD}", "{treat:g} {WHOM}", "{move:g} {TO}", "{act:g} {AT}",
        "{tell:g} a {idea}",
    ),
    "DONE": ("{handle:n} {THING}", "{consume:n} {FOOD}", "{treat:n} {WHOM}", "{move:n} {TO}", "{tell:n} the {idea}"),
}  # fmt: skip

TEMPLATES: tuple[str, ...] = (
    *("{HE} {DID}.", "{WE} {DID} {PAST}.", "{HE} {handle:d} {THING} {AT}.", "{HE} {move:d} {manner} {TO}.") * 2,
    "{HE} {DID} {PAST}.",
    "{PAST}, {HE} {DID}.",
    "{HE} {manner} {handle:d} {THING}.",
    "{HE} {treat:d} {WHOM} {AT} {PAST}.",
    "{HE} {hand:d} {WHOM} {THING}.",
    "{HE} {often} {DOES}.",
    "{WE} {often} {DO}.",
    "every {day} {HE} {DOES}.",
    "{HE} is {DOING}.",
    "{ARE} are {DOING} {AT}.",
    "{HE} was {DOING} when {HE} {DID}.",
    "{ARE} were {act:g} {AT} {PAST}.",
    "{HE} has {often} {DONE}.",
    "{WE} have {DONE} {small} times.",
    "{HE} will {DO} {SOON}.",
    "{WE} will {DO} after the {event}.",
    "{WE} can not {DO} without {THING}.",
    "{HE} could {DO} and {DO}.",
    "{HE} must {DO} before {duty}.",
    "{WE} should {really} {DO}.",
    "{HE} {want:s} to {DO}.",
    "{WE} {want:d} to {DO} {AT}.",
    "{HE} {say:d} that {HE} {DID}.",
    "{WE} {say} that {HE} {DOES}.",
    "{HE} {DID} because {HE} was {degree} {adjp}.",
    "when {HE} {DID}, {WE} {act:d}.",
    "while {WHO} {act:d}, {ANIMAL} {animal_act:d} {AT}.",
    "if it rains {SOON}, {WE} will {DO}.",
    "after {WHO} {DID}, {HE} {move:d} {TO}.",
    "although {WHO} was {adjp}, {HE} {DID}.",
    "{HE} {DID}, but {HE} {DID}.",
    "the {person} who {DID} is {degree} {adjp}.",
    "the {thing} that {WHO} {handle:d} is {AT}.",
    "{ANIMAL} that {animal_act:d} {AT} was {adja}.",
    "{WHO} is {degree} {adjp}.",
    "{ARE} are {adjp} and {adjp}.",
    "{WHO} was {comp_p} than {WHOM}.",
    "the {thing} is {comp} than the {adjt} {thing}.",
    "the {thing} was {handle:n} by the {adjp} {person}.",
    "{NUMBER} {thing:p} were {handle:n} {PAST}.",
    "there is a {adjt} {thing} {AT}.",
    "there are {NUMBER} {animal:p} {AT}.",
    "there was a {color} {thing} {AT}.",
    "{ANIMAL} {animal_act:d} {AT} {PAST}.",
    "{ANIMAL} {move:d} {TO} {manner}.",
    "the {nature} {shine:d} {manner} over the {open}.",
    "it was {degree} {weather} {PAST}.",
    "it is {quality} to {DO}.",
    "the {vehicle} from {town} will {arrive} at {hour} o'clock.",
    "the {vehicle} {arrive:d} {AT} {PAST}.",
    "the {goods} costs {NUMBER} dollars.",
    "{name} is {tens} {ones} years old.",
    "my {person} has a {illness} and a {adjt} {possession}.",
    "{HE} put the {thing} on the {surface}.",
    "{HE} hurt his {body} {AT} {PAST}.",
    "please {hand} me the {color} {thing}.",
    "please {handle} the {adjt} {thing} {manner}.",
    "do not {handle} {THING} {AT}.",
    "where did {HE} {handle} {THING}?",
    "why did {WE} {move} {TO} {PAST}?",
    "who {handle:d} {THING} {PAST}?",
    "did {HE} {DO} {PAST}?",
    "do {WE} {often} {DO}?",
    "how many {thing:p} did {WHO} {handle}?",
    "what did {WHO} {tell} {AT}?",
    "is {WHO} {degree} {adjp}?",
    "when will {HE} {DO}?",
    "have {WE} ever {treat:n} a {adjp} {person}?",
    "can {HE} {DO} {SOON}?",
    "would you like {FOOD} with your {meal}?",
    "neither {name} nor {name} {like:s} {subject}.",
    "{HE} talked about {subject} and {subject} {PAST}.",
    "instead of {act:g}, {HE} {DID}.",
)

_SLOT = re.compile(r"\{(\w+)(?::(\w))?\}")
_VERBS = {
    *("move", "act", "handle", "consume", "treat", "hand", "tell", "say", "like", "animal_act"),
    *("shine", "arrive", "want"),
}
_CATEGORIES = {**WORDS, "ones": tuple(ONES), "tens": tuple(TENS)}
_VOWEL_SOUND = re.compile(r"\ba (?=[aeiou](?!ne\b|seful|niform))", re.IGNORECASE)
_HELD_OUT_ONE_IN = 16
_SHORTEST, _LONGEST = 4, 14


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence in lower case, without punctuation other than apostrophes."""
    return re.findall(r"[a-z']+", sentence.lower())


def held_out(first: str, second: str) -> bool:
    """Whether two words from neighbouring slots are a pair held out of training."""
    return zlib.crc32(f"{first} {second}".encode()) % _HELD_OUT_ONE_IN == 0


def vocabulary() -> set[str]:
    """Return every word that a sentence may contain, in lower case and all its forms."""
    words_and_forms = {
        word for text in (*TEMPLATES, *(t for ts in GRAMMAR.values() for t in ts)) for word in words_of(_plain(text))
    }
    for category, words in _CATEGORIES.items():
        inflect, forms = (verb, "sdng") if category in _VERBS else (noun, "p" if _counts(category) else "")
        words_and_forms.update(inflect(word, form) for word in words for form in ("", *forms))
    return words_and_forms | {"an"}


def sentences(split: Split, n: int, seed: int = 7) -> list[str]:
    """Return the first `n` distinct sentences of a split; a smaller `n` gives a prefix of the same list.

    `split`: "train" or "test". The two never share a sentence. Raises ValueError for another split or a negative `n`.
    """
    if split not in ("train", "test"):
        raise ValueError(must("split", '"train" or "test"', split))
    if n < 0:
        raise ValueError(must("n", "a number of sentences >= 0", n))
    return list(islice(_stream(split, random.Random(f"{seed} {split}")), n))


def _stream(split: Split, rng: random.Random) -> Iterator[str]:
    seen: set[str] = set()
    while True:
        sentence, pairs = _draw(rng)
        unseen = any(held_out(*pair) for pair in pairs)
        for_test = unseen or zlib.crc32(sentence.encode()) % _HELD_OUT_ONE_IN == 0
        wanted = for_test and unseen == (len(seen) % 2 == 0) if split == "test" else not for_test
        if wanted and sentence not in seen:
            seen.add(sentence)
            yield sentence


def _draw(rng: random.Random) -> tuple[str, list[tuple[str, str]]]:
    """Draw one sentence of moderate length without repeated slot words, with the pairs of its neighbouring slots."""
    while True:
        chosen: list[str] = []
        text = _expand(rng.choice(TEMPLATES), rng, chosen)
        if len(set(chosen)) == len(chosen) and _SHORTEST <= len(words_of(text)) <= _LONGEST:
            return _written(text), list(pairwise(chosen))


def _expand(text: str, rng: random.Random, chosen: list[str]) -> str:
    def fill(slot: re.Match[str]) -> str:
        name, form = slot[1], slot[2] or ""
        if name in GRAMMAR:
            return _expand(rng.choice(GRAMMAR[name]), rng, chosen)
        word = rng.choice(_CATEGORIES[name])
        chosen.append(word)
        return verb(word, form) if name in _VERBS else noun(word, form)

    return _SLOT.sub(fill, text)


def _written(text: str) -> str:
    """Apply "an" before vowels, and capitals."""
    text = _VOWEL_SOUND.sub(lambda match: match[0][:-1] + "n ", text)
    proper = {*WORDS["name"], *WORDS["town"], *WORDS["day"], *(set(WORDS["month"]) - {"march", "may"}), "i"}
    text = re.sub(r"[a-z']+", lambda word: word[0].capitalize() if word[0] in proper else word[0], text)
    text = re.sub(r"\bin (march|may)\b", lambda match: f"in {match[1].capitalize()}", text)
    return text[0].upper() + text[1:]


def _plain(text: str) -> str:
    return _SLOT.sub(" ", text)


def _counts(category: str) -> bool:
    texts = (*TEMPLATES, *(t for ts in GRAMMAR.values() for t in ts))
    return any(f"{{{category}:p}}" in text for text in texts)
