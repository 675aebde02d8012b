"""The demo's corpus: the project's own sentences, spoken by the free synthesiser flite.

`python -m slmzoo.recipes.demo.corpus --data DIR` writes `DIR/wavs/<split>/<voice>/<id>.wav` (16 kHz, mono, 16-bit) and
`DIR/text/<split>.tsv` (id, tab, sentence). All voices speak the first sentences of the training part, and each
more of its own; two of them also say each word alone. Splits are train, test and plain, the last one for word error
rates.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import soundfile
from tqdm import tqdm

from slmcore.errors import must
from slmzoo.recipes.demo.plain import PLAIN
from slmzoo.recipes.demo.sentences import sentences, vocabulary

__all__ = ["REFERENCE", "SAMPLE", "Utterance", "plan", "speak", "synthesise"]

SAMPLE = "My neighbor walks her dog along the river before sunrise."
"""The sentence of `examples/sample.wav`; the grammar cannot make it."""

_Text = Literal["train", "words", "test", "plain"]
_SAMPLE_RATE = 16000
REFERENCE = "slt"
"""The voice that speaks all that others share, that the codec codes and ELLA-V speaks with."""
_SHARED = range(2000)
_TRAIN = {
    REFERENCE: [range(2000), range(5000, 8000), range(11_000, 21_000)],
    "rms": [_SHARED, range(2000, 3000), range(8000, 9000)],
    "awb": [_SHARED, range(3000, 4000), range(9000, 10_000)],
    "kal16": [_SHARED, range(4000, 5000), range(10_000, 11_000)],
}
"""Which of the sentences a voice speaks."""
_SAY_WORDS = ("awb", "kal16")
"""The voices that say each word alone, in training: not those of `slmzoo.evaluation.mini`'s words."""
_TEST = (("slt", 1.0), ("rms", 1.0), ("awb", 1.0), ("kal16", 1.0), ("slt", 1.25), ("rms", 1.25))
_TEST_SENTENCES = 100
_FASTEST, _SLOWEST = 0.85, 1.2


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One wav to make."""

    path: Path
    sentence: str
    voice: str
    stretch: float
    """Length relative to the voice's own rate; 1.25 is slower."""


def speak(sentence: str, path: str | Path, voice: str = "slt", stretch: float = 1.0) -> list[tuple[str, float]]:
    """Write one sentence as a 16 kHz wav with flite; the file appears only when it is whole.

    Returns its phones, pauses ("pau") among them, each with the second at which it ends. Raises RuntimeError if flite
    is not installed or fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    how = ["-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-psdur"]
    command = ["flite", *how, "-t", sentence, "-o", str(part)]
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError:
        raise RuntimeError(_MISSING) from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"flite failed on {sentence!r} with voice {voice}: {error.stderr.strip()}") from error
    rate = soundfile.info(part).samplerate
    if rate != _SAMPLE_RATE:
        raise RuntimeError(f"flite's voice {voice} speaks at {rate} Hz, but the demo needs {_SAMPLE_RATE}.")
    part.replace(path)
    ends = (segment.rpartition(":") for segment in said.stdout.split())
    return [(phone, float(end)) for phone, _, end in ends]


def plan(data: str | Path, seed: int = 7) -> list[Utterance]:
    """Every utterance of the corpus under the folder `data`."""
    wavs = Path(data) / "wavs"
    train, test = _texts("train", seed), _texts("test", seed)
    spoken = [
        Utterance(
            path=wavs / "train" / voice / f"{key}.wav", sentence=text, voice=voice, stretch=_rate(seed, voice, key)
        )
        for voice, parts in _TRAIN.items()
        for part in parts
        for key, text in train[part.start : part.stop]
    ]
    spoken += [
        Utterance(
            path=wavs / "train" / voice / f"{key}.wav", sentence=word, voice=voice, stretch=_rate(seed, voice, key)
        )
        for voice in _SAY_WORDS
        for key, word in _texts("words", seed)
    ]
    plain = wavs / "plain" / REFERENCE
    spoken += [
        Utterance(path=plain / f"{key}.wav", sentence=text, voice=REFERENCE, stretch=1.0)
        for key, text in _texts("plain", seed)
    ]
    for voice, stretch in _TEST:
        folder = wavs / "test" / (voice if stretch == 1.0 else f"{voice}@{stretch}")
        spoken += [
            Utterance(path=folder / f"{key}.wav", sentence=text, voice=voice, stretch=stretch) for key, text in test
        ]
    return spoken


def synthesise(data: str | Path, seed: int = 7, jobs: int = 2) -> None:
    """Make what is still missing of the corpus in `data`, `jobs` sentences at a time."""
    if jobs < 1:
        raise ValueError(must("jobs", "a number of programs >= 1", jobs))
    if shutil.which("flite") is None:
        raise RuntimeError(_MISSING)
    for split in get_args(_Text):
        _write_texts(Path(data) / "text" / f"{split}.tsv", _texts(split, seed))
    missing = [utterance for utterance in plan(data, seed) if not utterance.path.exists()]
    with ThreadPoolExecutor(jobs) as pool:
        made = pool.map(lambda u: speak(u.sentence, u.path, u.voice, u.stretch), missing)
        for _ in tqdm(made, total=len(missing), desc="flite", mininterval=5):
            pass


_MISSING = "The program `flite` was not found. Install it (Debian: `apt install flite`, macOS: `brew install flite`)."


def _texts(split: _Text, seed: int) -> list[tuple[str, str]]:
    if split == "plain":
        texts: Sequence[str] = PLAIN
    elif split == "words":
        texts = sorted(vocabulary())
    else:
        spoken = max(part.stop for parts in _TRAIN.values() for part in parts)
        texts = sentences(split, spoken if split == "train" else _TEST_SENTENCES, seed)
    return [(f"{split}-{i:05d}", text) for i, text in enumerate(texts)]


def _rate(seed: int, voice: str, key: str) -> float:
    return random.Random(f"{seed} {voice} {key}").uniform(_FASTEST, _SLOWEST)


def _write_texts(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text("".join(f"{key}\t{text}\n" for key, text in rows), encoding="utf-8")
    part.replace(path)


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
