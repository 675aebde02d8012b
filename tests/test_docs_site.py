"""The documentation as a site: what is generated follows the code, links lead somewhere, and the whole is built."""

from __future__ import annotations

import html
import importlib
import logging
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import hubconf
from slmcore.files import registry
from slmzoo.pipeline import Pipeline

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(ROOT / "docs_site"))
    yield importlib.import_module("pages")
    sys.path.remove(str(ROOT / "docs_site"))


def tables(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]


def test_the_matrix_says_what_readme_says(pages):
    head, _, *rows = tables(pages.generated()["matrix.md"])
    generated = {name: cells for name, *cells in rows}
    assert head == ["system", "units", "score", "continue", "resynth"]
    readme = tables((ROOT / "README.md").read_text(encoding="utf-8"))
    listed = {row[0]: ["yes" if cell == "yes" else "" for cell in row[1:5]] for row in readme if row[0] in generated}
    assert listed == generated
    assert generated["`dp-slm`"] == ["yes"] * 4


def test_every_published_file_has_a_card(pages):
    made = pages.generated()
    for row in registry.rows():
        card = made[f"models/{row.zoo}.md"]
        assert f"## {row.kind}\n" in card
        assert any(cells[-1] == f"`{row.file}`" for cells in tables(card)), row.file
    text = made["models/gslm.md"]
    (hubert,) = [cells for cells in tables(text) if cells[-1] == "`hubert_base_ls960.pt`"]
    assert "SHA-256 `1703cf8d2cdc...`" in hubert
    (ulm,) = [cells for cells in tables(text) if cells[-1] == "`w2v2_50_lm.tgz`"]
    assert "recorded at first download" in ulm
    assert "MD5 932b3b8527c0125f5f964b57762eba49; recorded at first download" in text


def test_the_navigation_has_each_page_once_and_takes_new_ones(pages):
    def places(items) -> list[str]:
        found = (
            [item] if isinstance(item, str) else places(list(item.values())) if isinstance(item, dict) else places(item)
            for item in items
        )
        return [place for each in found for place in each]

    written = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    found = places(pages.navigation([*written, "something_new.md"]))
    assert len(found) == len(set(found))
    assert {*written, "something_new.md", *pages.generated()} <= set(found)
    assert set(found) - {*written, *pages.generated()} == {
        "something_new.md", "index.md", "contributing.md", "changelog.md",
    }  # fmt: skip


def test_links_for_github_lead_to_pages_of_the_site(pages, caplog):
    pytest.importorskip("mkdocs")
    hooks = importlib.import_module("hooks")
    led = hooks._led
    assert led("docs/dpdp.md#speed", "README.md", "index.md") == "dpdp.md#speed"
    assert led("../origins.md", "docs/evaluation/README.md", "evaluation/README.md") == "../origins.md"
    assert led("../CHANGELOG.md", "docs/speed.md", "speed.md") == "changelog.md"
    assert led("../benchmarks/results", "docs/speed.md", "speed.md").endswith("/tree/main/benchmarks/results")
    assert led("LICENSE", "README.md", "index.md") == "https://github.com/slmzoo/slmzoo/blob/main/LICENSE"
    figure = "../benchmarks/results/dpdp-cpu-codes.png"
    assert led(figure, "docs/dpdp.md", "dpdp.md") == "benchmarks/results/dpdp-cpu-codes.png"
    assert led("https://arxiv.org/abs/1", "README.md", "index.md") == "https://arxiv.org/abs/1"
    with caplog.at_level(logging.WARNING):
        led("docs/gone.md", "README.md", "index.md")
    assert "README.md links to docs/gone.md, which does not exist" in caplog.text


class Found(HTMLParser):
    """Links and anchors of a page, and what a browser would load with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(given["href"])


@pytest.mark.slow
def test_the_site_is_built_complete_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    built = {path.relative_to(tmp_path / "site"): Found(path.read_text("utf-8")) for path in
             (tmp_path / "site").rglob("*.html")}  # fmt: skip
    assert {Path("index.html"), Path("gslm.html"), Path("reference/hubconf.html")} <= set(built)
    entries = built[Path("reference/hubconf.html")].anchors
    assert {f"{getattr(hubconf, name).__module__}.{name}" for name in hubconf.__all__} <= entries
    reference = (tmp_path / "site" / "reference" / "slmzoo.html").read_text("utf-8")
    shown = html.unescape(re.sub(r"<[^>]+>", "", reference))
    for method in (Pipeline.loglikelihood, Pipeline.resynthesize):
        first = (method.__doc__ or "").split("\n")[0]
        assert first.replace("`", "") in shown
    for page, found in built.items():
        assert [place for place in found.loaded if re.match(r"(\w+:)?//", place)] == [], page
        if page.name == "404.html":
            continue
        for link in found.links:
            target, _, anchor = link.partition("#")
            if re.match(r"\w+:|//", link):
                continue
            file = Path(os.path.normpath(page.parent / unquote(target))) if target else page
            assert (tmp_path / "site" / file).exists(), (page, link)
            if anchor and file in built:
                assert unquote(anchor) in built[file].anchors, (page, link)
