"""Items of the small benchmark: words and non-words, and sentences. All lists are the project's own.

A non-word is its word with one phone changed, spelled accordingly.
"""

from __future__ import annotations

from collections.abc import Sequence

from slmzoo.recipes.speech.everyday import PLAIN

__all__ = ["KNOWN", "NEW", "SENTENCES", "scrambled"]

KNOWN: tuple[tuple[str, str], ...] = (
    ("garden", "gardem"), ("kitchen", "kitchep"), ("hospital", "hospigal"), ("market", "marbet"),
    ("forest", "fodest"), ("village", "vilnage"), ("doctor", "doftor"), ("farmer", "farker"),
    ("sister", "sisper"), ("brother", "brofer"), ("monkey", "monfey"), ("rabbit", "rabbip"),
    ("spider", "spiger"), ("chicken", "chippen"), ("window", "wimbow"), ("pencil", "pendil"),
    ("hammer", "hampet"), ("ladder", "ladger"), ("guitar", "guikar"), ("butter", "bupper"),
    ("chocolate", "chocogate"), ("potato", "potafo"), ("tomato", "tomabo"), ("summer", "summef"),
    ("winter", "winfer"), ("morning", "morfing"), ("silver", "silger"), ("golden", "golpen"),
    ("hungry", "humbry"), ("wonderful", "wonderpul"),
)  # fmt: skip
"""Words that may occur in the demo's training sentences, said in isolation by other voices there, with their
non-words."""

NEW: tuple[tuple[str, str], ...] = (
    ("planet", "planep"), ("velvet", "velbet"), ("harvest", "harfest"), ("tunnel", "tuggel"),
    ("cactus", "cagtus"), ("dolphin", "dolthin"), ("cricket", "crifket"), ("mustard", "mustarb"),
    ("magnet", "magnep"), ("lizard", "lizarb"), ("pumpkin", "pumpfin"), ("signal", "sigbal"),
    ("random", "rangom"), ("fabric", "fablic"), ("sentence", "sempence"), ("elbow", "elgow"),
    ("compass", "comdass"), ("balcony", "balgony"), ("harmony", "harpony"), ("turnip", "turnif"),
)  # fmt: skip
"""Words that cannot occur there: absent from the grammar, and excluded from the wide vocabulary."""

SENTENCES: dict[str, tuple[str, ...]] = {
    "everyday": PLAIN,
    "grammar": (
        "The manager was kinder than the lonely lawyer.",
        "Somebody is coughing in the castle.",
        "The family stole the huge cart near the bakery.",
        "Please offer me the brown picture.",
        "The sons were eating by the window before work.",
        "Last weekend she worked by the fire.",
        "The driver closed this sofa in front of the museum.",
        "There is a thin button in the dark prison.",
        "A kind farmer loved my girl behind the warehouse last winter.",
        "The fire grew angrily over the street.",
        "After the king forgot the number he rode through the village.",
        "Where did a cheerful driver lift the beautiful newspaper?",
        "Somebody moved down the path because she was too angry.",
        "The gardeners will learn the message after the summer.",
        "The suitcase costs two hundred dollars.",
        "Why did they come home yesterday?",
        "The frog walked to the museum again.",
        "Somebody cleaned the useful jacket near the station.",
    ),
}
"""Sentences by origin: everyday ones, and test sentences of the demo's grammar."""


def scrambled(sentence: str) -> str:
    """Scramble a sentence: its second, fourth, ... words, then the first, third, ..."""
    words: Sequence[str] = sentence.rstrip(".?!").lower().split()
    return " ".join([*words[1::2], *words[::2]]).capitalize() + "."
