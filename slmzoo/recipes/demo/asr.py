"""Word error rate of the demo's speech under pocketsphinx, a small recogniser with its own English model.

`python -m slmzoo.recipes.demo.asr --data DIR [--wavs FOLDER]` prints one line of JSON for one voice of one split.
The figures compare systems with each other, and are not comparable with those of a large recogniser.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from slmcore.errors import must
from slmzoo.evaluation.speech import wer
from slmzoo.evaluation.speech.asr import hear, unknown_words
from slmzoo.recipes.speech.sentences import vocabulary

__all__ = ["references", "word_error_rate"]


def word_error_rate(references: Mapping[str, str], folder: str | Path, jobs: int = 1) -> dict[str, float | int]:
    """Return `wer`, `words` and `utterances` of the wavs `<id>.wav` in `folder` with a reference.

    `references`: id to sentence. `jobs`: processes of the recogniser. Raises ValueError if no wav has a reference.
    """
    said = {key: text for key, text in references.items() if (Path(folder) / f"{key}.wav").is_file()}
    if not said:
        raise ValueError(must("folder", "a folder with wavs named after the ids of the references", str(folder)))
    heard = hear([Path(folder) / f"{key}.wav" for key in said], jobs=jobs)
    found = wer.errors(said, dict(zip(said, heard, strict=True))).values()
    words = sum(each.words for each in found)
    return {"wer": wer.rate((each.word_errors, each.words) for each in found), "words": words, "utterances": len(said)}


def references(data: Path, split: str, most: int | None = None) -> dict[str, str]:
    """Return the sentences of a split by id, in the corpus's order, or the first `most` of them."""
    rows = (data / "text" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[:most]
    return dict(row.split("\t", 1) for row in rows)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m slmzoo.recipes.demo.asr", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus, for the sentences")
    parser.add_argument("--split", default="test", choices=("test", "plain", "more"), help="which sentences")
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
