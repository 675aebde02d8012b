"""Word error rate of speech under pocketsphinx, a small recogniser that brings its own English model.

`python -m slmzoo.recipes.demo.asr --data DIR [--wavs FOLDER]` prints one line of JSON for one voice of one split.
It stands on its own: the figures tell systems apart, and are not comparable with those of a large recogniser.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from slmcore import audio
from slmcore.errors import must
from slmzoo.recipes.demo.sentences import vocabulary

if TYPE_CHECKING:
    import pocketsphinx

__all__ = ["normalise", "references", "transcribe", "unknown_words", "word_error_rate"]

_SAMPLE_RATE = 16000


def transcribe(wav: torch.Tensor, sr: int) -> str:
    """What pocketsphinx hears in a mono wav (1, samples), in lower case; empty if it hears nothing."""
    audio.check(wav, sr, "wav")
    heard = audio.resample(wav, sr, _SAMPLE_RATE)[0].clamp(-1, 1)
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw((heard * 32767).to(torch.int16).numpy().tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found is not None else ""


def normalise(text: str) -> str:
    """Lower case, no punctuation, single spaces."""
    import jiwer

    return " ".join(str(jiwer.RemovePunctuation()(text)).lower().split())


def word_error_rate(references: dict[str, str], folder: str | Path, jobs: int = 1) -> dict[str, float | int]:
    """Errors over all words of the wavs `<id>.wav` in `folder` that have a reference: `wer`, `words`, `utterances`.

    `references`: id to sentence. `jobs`: processes that listen. Raises ValueError if no wav has a reference.
    """
    import jiwer

    folder = Path(folder)
    keys = [key for key in references if (folder / f"{key}.wav").is_file()]
    if not keys:
        raise ValueError(must("folder", "a folder with wavs named after the ids of the references", str(folder)))
    paths = [folder / f"{key}.wav" for key in keys]
    said = [normalise(references[key]) for key in keys]
    heard = [normalise(text) for text in _heard(paths, jobs)]
    return {
        "wer": jiwer.wer(said, heard),
        "words": sum(len(text.split()) for text in said),
        "utterances": len(keys),
    }


def unknown_words(words: Iterable[str]) -> list[str]:
    """The words that pocketsphinx's dictionary does not have, and so can never hear."""
    import pocketsphinx

    lines = (Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict").read_text().splitlines()
    known = {line.split(maxsplit=1)[0] for line in lines if line.strip()}
    return sorted(set(words) - known)


@cache
def _decoder() -> pocketsphinx.Decoder:
    import pocketsphinx

    return pocketsphinx.Decoder(samprate=_SAMPLE_RATE, loglevel="FATAL")


def _heard_in(path: Path) -> str:
    return transcribe(*audio.load(path))


def _heard(paths: list[Path], jobs: int) -> list[str]:
    if jobs == 1:
        return [_heard_in(path) for path in paths]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(_heard_in, paths, chunksize=4))


def references(data: Path, split: str, most: int | None = None) -> dict[str, str]:
    """Sentences of a split by their ids, in the corpus's order; the first `most` of them if given."""
    rows = (data / "text" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[:most]
    return dict(row.split("\t", 1) for row in rows)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m slmzoo.recipes.demo.asr", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus, for the sentences")
    parser.add_argument("--split", default="test", choices=("test", "plain"), help="which sentences")
    parser.add_argument("--voice", default="slt", help="which of the corpus's voices to listen to")
    parser.add_argument("--wavs", type=Path, help="listen to this folder's <id>.wav instead")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    args = parser.parse_args(argv)
    unknown = unknown_words(vocabulary())
    folder = args.wavs or args.data / "wavs" / args.split / args.voice
    row = {"folder": str(folder), **word_error_rate(references(args.data, args.split), folder, args.jobs)}
    sys.stdout.write(json.dumps({**row, "unknown_words": unknown}) + "\n")


if __name__ == "__main__":
    main()
