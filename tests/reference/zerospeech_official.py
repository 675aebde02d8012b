"""Scores gold files by the official package, in whose environment this is run: `python THIS lexical|syntactic FOLDER`.

FOLDER holds `gold.csv` and `scores.txt`. Prints JSON: `all`, the mean of each pair's score, and the scores by pair.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def by_pair(task: str, folder: Path) -> Any:
    """The official data frame with a row a pair."""
    from zerospeech.tasks.lm.lexical import LexicalTask  # pyright: ignore[reportMissingImports]
    from zerospeech.tasks.lm.syntactic import SyntacticTask  # pyright: ignore[reportMissingImports]

    gold, scores = folder / "gold.csv", folder / "scores.txt"
    if task == "lexical":
        return LexicalTask.eval_by_pair(LexicalTask.load_and_format(scores, gold))
    return SyntacticTask.run_syntactic_comparison(SyntacticTask, gold, scores)[0]


if __name__ == "__main__":
    found = by_pair(sys.argv[1], Path(sys.argv[2]))["score"]
    sys.stdout.write(json.dumps({"all": found.mean(), "pairs": sorted(found)}))
