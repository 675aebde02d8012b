"""The demo's corpus: sentences of the project's grammar and of a wide vocabulary, synthesised by flite.

`python -m slmzoo.recipes.demo.corpus --data DIR` writes `DIR/wavs/<split>/<voice>/<id>.wav` (16 kHz, mono, 16-bit) and
`DIR/text/<list>.tsv` (id, tab, sentence). Splits are train (of the lists train, of the grammar, and wide, of a wide
vocabulary), test, and plain and more for word error rates. All voices speak the first sentences of train and wide, and
each has further ones of its own; two of them also say each word of the grammar in isolation.
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from tqdm import tqdm

from slmcore.errors import must
from slmcore.files import atomic
from slmzoo.recipes.speech.everyday import MORE, PLAIN
from slmzoo.recipes.speech.flite import MISSING, speak
from slmzoo.recipes.speech.natural import SAMPLE
from slmzoo.recipes.speech.sentences import sentences, vocabulary
from slmzoo.recipes.speech.wide_vocabulary import wide_sentences

__all__ = ["REFERENCE", "Utterance", "plan", "synthesise"]

_Text = Literal["train", "wide", "words", "test", "plain", "more"]
REFERENCE = "slt"
"""Reference voice: that of the codec and ELLA-V, which speaks all shared sentences."""
_TRAIN = {
    REFERENCE: (slice(2000), slice(5000, 8000), slice(11_000, 21_000)),
    "rms": (slice(3000), slice(8000, 9000)),
    "awb": (slice(2000), slice(3000, 4000), slice(9000, 10_000)),
    "kal16": (slice(2000), slice(4000, 5000), slice(10_000, 11_000)),
}
"""Sentences of the grammar that a voice speaks."""
_WIDE = {REFERENCE: slice(16_000), "rms": slice(3000), "awb": slice(3000), "kal16": slice(3000)}
"""Sentences of the wide vocabulary that it speaks."""
_SAY_WORDS = ("awb", "kal16")
"""Voices that say each word in isolation in training, other than those of `slmzoo.recipes.mini.benchmark`."""
_TAKES = 3
_SENTENCES: dict[_Text, int] = {"train": 21_000, "wide": 16_000, "test": 100}
_TEST = (("slt", 1.0), ("rms", 1.0), ("awb", 1.0), ("kal16", 1.0), ("slt", 1.25), ("rms", 1.25))
_FASTEST, _SLOWEST = 0.85, 1.2


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """Wav to synthesise."""

    path: Path
    sentence: str
    voice: str
    stretch: float
    """Duration relative to the voice's own rate; 1.25 is slower."""


def plan(data: str | Path, seed: int = 7) -> list[Utterance]:
    """Yield every utterance of the corpus under the folder `data`."""
    said = {split: _texts(split, seed) for split in get_args(_Text)}

    def spoken(
        split: str, voice: str, texts: Sequence[tuple[str, str]], stretch: float | None = None
    ) -> Iterator[Utterance]:
        folder = Path(data) / "wavs" / split / (voice if stretch in (None, 1.0) else f"{voice}@{stretch}")
        for key, text in texts:
            at = _rate(seed, voice, key) if stretch is None else stretch
            yield Utterance(path=folder / f"{key}.wav", sentence=text, voice=voice, stretch=at)

    parts = [
        *(spoken("train", voice, said["train"][part]) for voice, parts in _TRAIN.items() for part in parts),
        *(spoken("train", voice, said["words"]) for voice in _SAY_WORDS),
        *(spoken("train", voice, said["wide"][part]) for voice, part in _WIDE.items()),
        *(spoken(split, REFERENCE, said[split], 1.0) for split in ("plain", "more")),
        *(spoken("test", voice, said["test"], stretch) for voice, stretch in _TEST),
    ]
    return list(chain.from_iterable(parts))


def synthesise(data: str | Path, seed: int = 7, jobs: int = 2) -> None:
    """Synthesise the missing part of the corpus in `data`, `jobs` sentences at a time."""
    if jobs < 1:
        raise ValueError(must("jobs", "a number of programs >= 1", jobs))
    if shutil.which("flite") is None:
        raise RuntimeError(MISSING)
    for split in get_args(_Text):
        _write_texts(Path(data) / "text" / f"{split}.tsv", _texts(split, seed))
    missing = [utterance for utterance in plan(data, seed) if not utterance.path.exists()]
    with ThreadPoolExecutor(jobs) as pool:
        made = pool.map(lambda u: speak(u.sentence, u.path, u.voice, u.stretch), missing)
        for _ in tqdm(made, total=len(missing), desc="flite", mininterval=5):
            pass


@cache
def _texts(split: _Text, seed: int) -> list[tuple[str, str]]:
    if split == "plain":
        texts: Sequence[str] = PLAIN
    elif split == "more":
        texts = MORE
    elif split == "words":
        texts = [word for word in sorted(vocabulary()) for _ in range(_TAKES)]
    elif split == "wide":
        texts = wide_sentences(_SENTENCES[split], seed)
    else:
        texts = sentences(split, _SENTENCES[split], seed)
    return [(f"{split}-{i:05d}", text) for i, text in enumerate(texts)]


def _rate(seed: int, voice: str, key: str) -> float:
    return random.Random(f"{seed} {voice} {key}").uniform(_FASTEST, _SLOWEST)


def _write_texts(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, "".join(f"{key}\t{text}\n" for key, text in rows).encode())


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m slmzoo.recipes.demo.corpus", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the corpus")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=2, help="sentences spoken at a time")
    parser.add_argument("--sample", type=Path, help="write the example sentence to this wav instead")
    args = parser.parse_args(argv)
    if args.sample is not None:
        speak(SAMPLE, args.sample)
    elif args.data is not None:
        synthesise(args.data, args.seed, args.jobs)
    else:
        parser.error("give --data DIR or --sample FILE")


if __name__ == "__main__":
    main()
