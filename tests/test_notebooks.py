"""The notebooks of examples/, executed on the demo, offline, without their cell that installs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

nbformat: Any = pytest.importorskip("nbformat")
nbclient: Any = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["composing_systems", "evaluating", "first_steps", "training"]


@notebooks
def test_the_first_code_cell_installs_and_nothing_was_run(path: Path):
    content = nbformat.read(path, as_version=4)
    nbformat.validate(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert code[0].metadata.tags == ["install"]
    assert 'git+https://github.com/slmzoo/slmzoo"' in code[0].source
    assert not any("install" in cell.metadata.get("tags", []) for cell in code[1:])
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert f"github/slmzoo/slmzoo/blob/main/examples/{path.name})" in content.cells[0].source


@pytest.mark.slow
@notebooks
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(ROOT / "examples" / "sample.wav", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    content = nbformat.read(path, as_version=4)
    content.cells = [cell for cell in content.cells if "install" not in cell.metadata.get("tags", [])]
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(content, timeout=300, kernel_name="python3", resources=resources).execute()
    assert all(cell.execution_count for cell in content.cells if cell.cell_type == "code")
