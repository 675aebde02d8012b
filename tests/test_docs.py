"""Links, anchors, images and commands of README, CONTRIBUTING, CHANGELOG and docs, all checked offline."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from slmzoo.cli import parsed
from slmzoo.commands.table import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CODE = re.compile(r"^```.*?^```|^    .*?$|`[^`\n]*`", re.S | re.M)
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b|\.\.\.|\$")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[str]:
    """The `slmzoo` lines of a page's code blocks, without those that leave something to fill in."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```(?:sh|bash)?\n(.*?)^```|((?:^    .*\n)+)", text, re.S | re.M)
    lines = [line.strip() for block in blocks for line in "".join(block).splitlines()]
    return [line for line in lines if line.startswith("slmzoo ") and not PLACEHOLDER.search(line.partition(" #")[0])]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    for link in links(page):
        target, _, anchor = link.partition("#")
        if target.startswith(("https://", "http://")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{name_of(page)} links to {link}, which is not there"
        assert not anchor or anchor in anchors(file), f"{name_of(page)} links to {link}, which has no such heading"


def test_every_page_and_figure_of_docs_is_linked():
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page)}
    files = [file for file in (ROOT / "docs").rglob("*") if file.is_file()]
    assert files
    assert [name_of(file) for file in files if file.resolve() not in linked] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_of_the_repository_that_pages_name_exist(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"(?<![\w/.\"])((?:tests|benchmarks|slmcore|slmzoo|examples|docs)/[\w./-]*\w)", text):
        assert (ROOT / path).exists(), f"{name_of(page)} names {path}, which is not there"


def test_figures_have_a_description():
    found = [text for page in PAGES for text in re.findall(r"!\[([^\]]*)\]\(", page.read_text(encoding="utf-8"))]
    assert len(found) >= 8
    assert all(len(text.split()) >= 3 for text in found)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_the_pages_are_accepted(page):
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
        parsed(name, words[len(name.split()) :])


def test_some_commands_are_checked():
    assert sum(len(commands(page)) for page in PAGES) >= 20


def test_the_example_of_the_quantiser_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "dpdp.md").read_text(encoding="utf-8"), re.S)
    names: dict = {}
    exec(compile(code, "dpdp.md", "exec"), names)
    assert len(names["segments"]) == 2
    assert len(names["at_five"]) == 5
    assert names["same_units"].equal(names["units"])


def test_the_readme_is_short():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 130
    assert len(readme.split()) <= 900
