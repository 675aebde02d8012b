"""A corpus of natural synthetic speech by many speakers; resumable.

`python -m slmzoo.recipes.speech.natural --data DIR` writes `DIR/wavs/<split>/<speaker>/<id>.wav` (16 kHz, mono) and
`DIR/text/<split>.tsv` (id, tab, sentence). Splits: train, of a wide vocabulary and of everyday sentences; dev and test,
of other speakers and sentences, each of which two speakers say. The reference voice, `joe`, speaks the first sentences
of train, and dev and test too. flite's voices, less natural but many times as fast, speak further sentences and single
words of train. Existing files are kept. `--sample FILE` writes the example sentence by a held-out speaker instead.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.files import atomic
from slmzoo.recipes.speech import flite, joe
from slmzoo.recipes.speech.everyday import MORE, PLAIN
from slmzoo.recipes.speech.kokoro import Kokoro
from slmzoo.recipes.speech.phonemes import ipa, phonemes
from slmzoo.recipes.speech.sentences import sentences, vocabulary
from slmzoo.recipes.speech.speakers import Speaker, speaker
from slmzoo.recipes.speech.wide_vocabulary import wide_sentences

__all__ = ["REFERENCE", "SAMPLE", "Utterance", "make", "plan", "say"]

REFERENCE = "joe"
"""The voice that the demo speaks with."""
SAMPLE = "My neighbor walks her dog along the river before sunrise."
"""Sentence of `examples/sample.wav`, which the grammar cannot generate."""

_RATE = 16_000
_TRAIN_SPEAKERS, _HELD_OUT_SPEAKERS = 400, 20
_FASTEST, _SLOWEST = 0.87, 1.18
"""Lengths of the utterances of the reference voice and flite's, relative to the voice's own rate."""
_GRAMMAR = 4
"""One sentence in this many is of the grammar, the others are of a wide vocabulary."""
_WORDS, _WORD_VOICES = 3, ("awb", "kal16")
"""One of this many utterances by flite is a word of the grammar, in other voices than the small benchmark's."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """Recording to synthesise."""

    id: str
    split: str
    speaker: Speaker | str
    """Synthetic speaker, or the name of the reference voice or one of flite's."""
    sentence: str
    stretch: float = 1.0
    """Length relative to the voice's own rate; 1 for a synthetic speaker."""

    def path(self, data: Path) -> Path:
        """Its file in the corpus `data`."""
        name = self.speaker if isinstance(self.speaker, str) else self.speaker.name
        return data / "wavs" / self.split / name / f"{self.id}.wav"


def plan(count: int, reference_count: int = 0, flite_count: int = 0, seed: int = 7) -> list[Utterance]:
    """Return the first utterances of the training set, and all held-out ones.

    `count`: utterances by many speakers. `reference_count`: utterances by the reference voice, of the same list of
    sentences. `flite_count`: utterances by flite's voices, of a list of their own. Smaller numbers give a beginning of
    the same lists.
    """
    if count < 1:
        raise ValueError(must("count", "a number of utterances >= 1", count))
    for name, given in (("reference_count", reference_count), ("flite_count", flite_count)):
        if given < 0:
            raise ValueError(must(name, "a number of utterances >= 0", given))
    texts = list(_texts(max(count, reference_count), seed))
    held_out = [*_held_out("dev", MORE, seed), *_held_out("test", PLAIN, seed)]
    fast = [*_reference(texts[:reference_count], seed), *_by_flite(flite_count, seed)]
    return [*held_out, *fast, *_training_set(texts[:count], seed)]


def make(
    data: str | Path, count: int, reference_count: int = 0, flite_count: int = 0, seed: int = 7, jobs: int = 1
) -> None:
    """Synthesise the missing part of a corpus in `data`, in `jobs` processes of one thread each.

    Raises ImportError without the voices' packages, RuntimeError without espeak-ng or flite, OSError if the disk is
    full.
    """
    data, wanted = Path(data), plan(count, reference_count, flite_count, seed)
    for split in ("dev", "test", "train"):
        texts = {u.id: u.sentence for u in wanted if u.split == split}
        path = data / "text" / f"{split}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, "".join(f"{name}\t{text}\n" for name, text in texts.items()).encode())
    missing = [(u, u.path(data)) for u in wanted if not u.path(data).exists()]
    with ProcessPoolExecutor(jobs) as pool, tqdm(total=len(missing), desc="speech", mininterval=5) as progress:
        for _ in pool.map(_spoken, missing, chunksize=8):
            progress.update()


def say(text: str, path: Path, stretch: float = 1.0) -> None:
    """Synthesise a sentence in the reference voice as a 16 kHz wav. Raises ImportError or RuntimeError as `make`."""
    end = text[-1] if text[-1] in ".?!" else "."
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, audio.resample(_joe().speak(ipa(text) + end, stretch), joe.SAMPLE_RATE, _RATE), _RATE)


def _texts(count: int, seed: int) -> Iterator[str]:
    wide, grammar = wide_sentences(count, seed), sentences("train", count, seed)
    return (grammar[i] if i % _GRAMMAR == 0 else wide[i] for i in range(count))


def _training_set(texts: Sequence[str], seed: int) -> Iterator[Utterance]:
    rng = random.Random(f"{seed} speakers")
    for i, text in enumerate(texts):
        name = f"s{rng.randrange(_TRAIN_SPEAKERS):03d}"
        yield Utterance(id=f"train-{i:06d}", split="train", speaker=speaker(name, seed), sentence=text)


def _reference(texts: Sequence[str], seed: int) -> Iterator[Utterance]:
    rng = random.Random(f"{seed} {REFERENCE}")
    for i, text in enumerate(texts):
        stretch = rng.uniform(_FASTEST, _SLOWEST)
        yield Utterance(id=f"train-{i:06d}", split="train", speaker=REFERENCE, sentence=text, stretch=stretch)


def _by_flite(count: int, seed: int) -> Iterator[Utterance]:
    rng, words = random.Random(f"{seed} flite"), sorted(vocabulary())
    rng.shuffle(words)
    for i, sentence in enumerate(_texts(count, seed + 1)):
        is_word = i % _WORDS == 0
        text = words[i // _WORDS % len(words)] if is_word else sentence
        voice, stretch = rng.choice(_WORD_VOICES if is_word else flite.VOICES), rng.uniform(_FASTEST, _SLOWEST)
        yield Utterance(id=f"flite-{i:06d}", split="train", speaker=voice, sentence=text, stretch=stretch)


def _held_out(split: str, texts: Sequence[str], seed: int) -> Iterator[Utterance]:
    for i, text in enumerate(texts):
        for turn in range(2):
            name = f"h{(2 * i + turn) % _HELD_OUT_SPEAKERS:03d}"
            yield Utterance(id=f"{split}-{i:03d}-{turn}", split=split, speaker=speaker(name, seed), sentence=text)
        yield Utterance(id=f"{split}-{i:03d}", split=split, speaker=REFERENCE, sentence=text)


def _spoken(job: tuple[Utterance, Path]) -> None:
    utterance, path = job
    text, voice = utterance.sentence, utterance.speaker
    if isinstance(voice, str) and voice != REFERENCE:
        flite.speak(text, path, voice, utterance.stretch)
        return
    if isinstance(voice, str):
        say(text, path, utterance.stretch)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, voice.speak(_kokoro(), phonemes(text), _RATE), _RATE)


@cache
def _kokoro() -> Kokoro:
    """Return the model of this process."""
    return Kokoro()


@cache
def _joe() -> joe.Joe:
    """Return the model of this process."""
    return joe.Joe()


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m slmzoo.recipes.speech.natural", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="folder of the corpus")
    where.add_argument("--sample", type=Path, help="write the example sentence to this wav instead")
    parser.add_argument("--count", type=int, default=2_000, help="training utterances by many speakers")
    parser.add_argument("--reference-count", type=int, default=8_000, help="training utterances by the reference voice")
    parser.add_argument("--flite-count", type=int, default=18_600, help="training utterances by flite's voices")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    args = parser.parse_args(argv)
    if args.sample is not None:
        utterance = Utterance(id="sample", split="test", speaker=speaker("h000", args.seed), sentence=SAMPLE)
        _spoken((utterance, args.sample))
        return
    make(args.data, args.count, args.reference_count, args.flite_count, args.seed, args.jobs)


if __name__ == "__main__":
    main()
