"""The scorer of ZeroSpeech itself, in an environment of its own, against its rules as the other tests have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from slmzoo.evaluation.likelihood.pairs import accuracy
from slmzoo.evaluation.likelihood.zerospeech import read_gold
from tests.reference import zerospeech_data as data
from tests.reference import zerospeech_scorer

SCRIPT = Path(zerospeech_scorer.__file__).with_name("zerospeech_official.py")
PACKAGES = ("zerospeech-benchmarks==0.9.4", "pandas<2.2", "numpy<2")
"""Later versions of pandas and numpy lack what the package uses."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zerospeech")
    venv.create(folder, with_pip=True)
    found = folder / "bin" / "python"
    subprocess.run([found, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """On import the package fetches its list of data sets, unless it has an old one."""
    index = tmp_path / "home" / "repo.json"
    index.parent.mkdir()
    index.write_text('{"last_modified": "2020-01-01", "datasets": [], "samples": [], "checkpoints": []}')
    os.utime(index, (0, 0))
    return {**os.environ, "APP_DIR": str(index.parent)}


@pytest.mark.network
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="those versions of its packages are for Python 3.11 and before")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("task", ["lexical", "syntactic"])
def test_the_official_package_scores_as_its_rules_here_and_as_slmzoo(
    tmp_path: Path, python: Path, environment: dict[str, str], task: str, seed: int
) -> None:
    gold = data.lexical(seed) if task == "lexical" else data.syntactic(seed)
    columns = data.LEXICAL if task == "lexical" else data.SYNTACTIC
    scores = data.scores(gold, seed)
    data.write_gold(tmp_path / "gold.csv", gold, columns)
    data.write_scores(tmp_path / "scores.txt", scores)
    call = [python, SCRIPT, task, tmp_path]
    process = subprocess.run(call, check=True, capture_output=True, text=True, env=environment)
    official = json.loads(process.stdout)
    rules = getattr(zerospeech_scorer, task)(gold, scores)
    assert official["all"] == pytest.approx(rules["all"], abs=1e-12)
    assert official["pairs"] == pytest.approx(sorted(rules["pairs"].values()), abs=1e-12)
    pairs, _ = read_gold(tmp_path / "gold.csv", task)
    assert official["pairs"] == pytest.approx(sorted(row["value"] for row in accuracy(pairs, scores)), abs=1e-12)
