"""Hooks of mkdocs: generated pages join those of docs/, and links of the repository lead to pages or to GitHub."""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

import pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

logger = logging.getLogger("mkdocs.hooks.slmzoo")
ROOT = Path(__file__).parents[1]
GITHUB = "https://github.com/slmzoo/slmzoo"
FROM_ROOT = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages at the root of the repository, and their place in the site."""
FIGURES = "benchmarks/results"
"""Folder of figures that the site takes along."""
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_CODE = re.compile(r"(^```.*?^```|`[^`\n]*`)", re.S | re.M)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Arrange all pages of docs/ and the generated ones; pages that are new to it become guides."""
    written = sorted(path.relative_to(config.docs_dir).as_posix() for path in Path(config.docs_dir).rglob("*.md"))
    config.nav = pages.navigation(written)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and those at the root of the repository."""
    texts = {place: (ROOT / name).read_text(encoding="utf-8") for name, place in FROM_ROOT.items()}
    for place, text in {**texts, **pages.generated()}.items():
        files.append(File.generated(config, place, content=text))
    for figure in sorted((ROOT / FIGURES).glob("*.png")):
        files.append(File.generated(config, f"{FIGURES}/{figure.name}", abs_src_path=str(figure)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page that is written for GitHub; a warning for one that leads nowhere."""
    here = page.file.src_uri
    source = next((name for name, place in FROM_ROOT.items() if place == here), f"docs/{here}")
    if not (ROOT / source).is_file():
        return markdown
    parts = _CODE.split(markdown)
    changed = [part if at % 2 else _LINK.sub(lambda m: m[1] + _led(m[2], source, here) + m[3], part)
               for at, part in enumerate(parts)]  # fmt: skip
    return "".join(changed)


def _led(link: str, source: str, here: str) -> str:
    """Return the site's link for one of the file `source` of the repository, whose page is `here`."""
    target, mark, anchor = link.partition("#")
    if not target or re.match(r"\w+:", target):
        return link
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).exists():
        logger.warning("%s links to %s, which does not exist", source, link)
    figure = posixpath.dirname(path) == FIGURES and path.endswith(".png")
    place = path if figure else FROM_ROOT.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
    if place is None or (ROOT / path).is_dir():
        return f"{GITHUB}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}{mark}{anchor}"
    return posixpath.relpath(place, posixpath.dirname(here) or ".") + mark + anchor


def on_post_build(config: Any) -> None:
    """Warn of anything in a page that a browser would load from another host."""
    loaded = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"https?://[^\"]*|<link\b[^>]*\bhref=\"https?://[^\"]*"
    )
    for path in Path(config.site_dir).rglob("*.html"):
        for found in loaded.findall(path.read_text(encoding="utf-8")):
            if 'rel="canonical"' not in found:
                logger.warning("%s loads from another host: %s", path.name, found)
