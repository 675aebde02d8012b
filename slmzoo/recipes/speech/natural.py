"""A corpus of natural synthetic speech by many speakers; resumable.

`python -m slmzoo.recipes.speech.natural --data DIR` writes `DIR/wavs/<split>/<speaker>/<id>.wav` (16 kHz, mono) and
`DIR/text/<split>.tsv` (id, tab, sentence). Splits: train, of a wide vocabulary and of everyday sentences; dev, of other
speakers and sentences, each of which two speakers say. What is there is not made again.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.files import atomic
from slmzoo.recipes.speech.everyday import MORE
from slmzoo.recipes.speech.kokoro import Kokoro
from slmzoo.recipes.speech.phonemes import phonemes
from slmzoo.recipes.speech.sentences import sentences
from slmzoo.recipes.speech.speakers import Speaker, speaker
from slmzoo.recipes.speech.wide_vocabulary import wide_sentences

__all__ = ["Utterance", "make", "plan"]

_RATE = 16_000
_TRAIN_SPEAKERS, _DEV_SPEAKERS = 400, 20
_GRAMMAR = 4
"""One sentence in so many is of the grammar, the others of a wide vocabulary."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One recording to make."""

    id: str
    split: str
    speaker: Speaker
    sentence: str

    def path(self, data: Path) -> Path:
        """Its file in the corpus `data`."""
        return data / "wavs" / self.split / self.speaker.name / f"{self.id}.wav"


def plan(count: int, seed: int = 7) -> list[Utterance]:
    """Return the first `count` utterances of the training set, and all of the held-out ones.

    A smaller `count` gives a beginning of the same list.
    """
    if count < 1:
        raise ValueError(must("count", "a number of utterances >= 1", count))
    return [*_held_out(seed), *_training_set(count, seed)]


def make(data: str | Path, count: int, seed: int = 7, jobs: int = 1) -> None:
    """Make what is missing of a corpus in `data`, in `jobs` processes of one thread each.

    Raises ImportError without Kokoro's packages, RuntimeError without espeak-ng, OSError if the disk is full.
    """
    data, wanted = Path(data), plan(count, seed)
    for split in ("dev", "train"):
        texts = {u.id: u.sentence for u in wanted if u.split == split}
        path = data / "text" / f"{split}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, "".join(f"{name}\t{text}\n" for name, text in texts.items()).encode())
    missing = [(u, u.path(data)) for u in wanted if not u.path(data).exists()]
    with ProcessPoolExecutor(jobs) as pool, tqdm(total=len(missing), desc="speech", mininterval=5) as progress:
        for _ in pool.map(_spoken, missing, chunksize=8):
            progress.update()


def _training_set(count: int, seed: int) -> Iterator[Utterance]:
    wide, grammar = wide_sentences(count, seed), sentences("train", count, seed)
    rng = random.Random(f"{seed} speakers")
    for i in range(count):
        name = f"s{rng.randrange(_TRAIN_SPEAKERS):03d}"
        text = grammar[i] if i % _GRAMMAR == 0 else wide[i]
        yield Utterance(id=f"train-{i:06d}", split="train", speaker=speaker(name, seed), sentence=text)


def _held_out(seed: int) -> Iterator[Utterance]:
    for i, text in enumerate(MORE):
        for turn in range(2):
            name = f"h{(2 * i + turn) % _DEV_SPEAKERS:03d}"
            yield Utterance(id=f"dev-{i:03d}-{turn}", split="dev", speaker=speaker(name, seed), sentence=text)


def _spoken(job: tuple[Utterance, Path]) -> None:
    utterance, path = job
    wav = utterance.speaker.speak(_model(), phonemes(utterance.sentence), _RATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, wav, _RATE)


@cache
def _model() -> Kokoro:
    """The model of this process."""
    return Kokoro()


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m slmzoo.recipes.speech.natural", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--count", type=int, default=20_000, help="utterances to train on")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    args = parser.parse_args(argv)
    make(args.data, args.count, args.seed, args.jobs)


if __name__ == "__main__":
    main()
