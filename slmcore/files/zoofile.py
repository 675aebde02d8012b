"""Registry file of a user's zoo (JSON); the shipped demo has one too.

    {
      "format": "slmzoo-registry", "version": 1, "zoo": "mine", "system": "dp-slm",
      "defaults": {"encoder": "wavlm_mine", "layer": 6, "licence": "CC-BY-4.0", "origin": "trained on ..."},
      "rows": [
        {"kind": "wavlm", "file": "wavlm.safetensors", "sha256": "<8 to 64 hex digits, optional>"},
        {"kind": "codebook", "k": 100, "url": "https://example.org/codebook.safetensors"},
        {"kind": "ulm", "k": 100, "lmbda": 300, "num_neighbors": 5, "file": "ulm.safetensors"}
      ]
    }

`system` is that of the models, DP-SLM if left out. `file` is relative to the folder of the JSON file and must not leave
it; `url` is http(s):// or hf://. All further fields are those of `Row`; `defaults` apply to every row that does not
state its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from slmcore.errors import must
from slmcore.files.places import write_bytes
from slmcore.files.rows import Row

__all__ = ["add_row", "check_zoo", "rows_of_file", "rows_of_text"]

_FORMAT, _VERSION = "slmzoo-registry", 1
_TOP_FIELDS = frozenset({"format", "version", "zoo", "system", "defaults", "rows"})
_ROW_FIELDS = frozenset(f.name for f in fields(Row)) - {"zoo", "system", "url"}
_LARGEST = 16 << 20


def rows_of_file(path: str | Path) -> tuple[Row, ...]:
    """Return the rows of a user's registry. Raises FileNotFoundError if it is missing, ValueError if it is invalid."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"No registry at {path}. Name existing JSON files in SLMZOO_REGISTRY or `registry=`.")
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path} is larger than {_LARGEST >> 20} MiB: it cannot be a registry.")
    folder = path.resolve().parent

    def locate(file: str) -> str:
        target = (folder / file).resolve()
        if target == folder or not target.is_relative_to(folder):
            raise ValueError(must("file", f"a file inside {folder}", file))
        return str(target)

    try:
        return rows_of_text(path.read_text(encoding="utf-8"), locate)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The registry {path} is not right: {error}") from error


def rows_of_text(text: str, locate: Callable[[str], str]) -> tuple[Row, ...]:
    """Parse the rows in `text`; `locate` turns a `file` entry into the row's address."""
    content = _object("registry", json.loads(text), _TOP_FIELDS, _TOP_FIELDS - {"defaults", "system"})
    if (content["format"], content["version"]) != (_FORMAT, _VERSION):
        raise ValueError(must("format, version", f"{_FORMAT!r}, {_VERSION}", (content["format"], content["version"])))
    defaults = _object("defaults", content.get("defaults", {}), _ROW_FIELDS - {"kind", "sha256"})
    if not isinstance(content["rows"], list):
        raise ValueError(must("rows", "a list", content["rows"]))
    about = {name: content[name] for name in ("zoo", "system") if name in content}
    found: dict[tuple, Row] = {}
    for index, entry in enumerate(content["rows"]):
        try:
            row = _row({**about, **defaults}, entry, locate)
        except (ValueError, OSError) as error:
            raise ValueError(f"rows[{index}]: {error}") from error
        if row.key in found:
            raise ValueError(f"rows[{index}] repeats the key of an earlier row: {row.label}.")
        found[row.key] = row
    return tuple(found.values())


def check_zoo(path: Path, zoo: str, system: str | None = None) -> None:
    """Raise a ValueError unless `path` is a registry of `zoo`, and of `system` if given, or is not there yet."""
    if not path.exists():
        return
    others = {row.zoo for row in rows_of_file(path)} - {zoo}
    if others:
        raise ValueError(must("zoo", f"{others.pop()!r}, as in {path}", zoo, "Or name another registry."))
    found = json.loads(path.read_text(encoding="utf-8")).get("system", Row.system)
    if system not in (None, found):
        raise ValueError(must("registry", f"of the system {system}", f"{path}, of {found}", "Name another one."))


def add_row(path: Path, zoo: str, entry: Mapping[str, Any], system: str | None = None) -> None:
    """Add a row to the registry `path` of `zoo`, created for `system` if missing; a row of the same key is replaced.

    Several processes may add rows at once. Raises ValueError, and leaves the file unchanged, for an invalid row.
    """
    with FileLock(path.with_name(f".{path.name}.lock")):
        check_zoo(path, zoo)
        new = {"format": _FORMAT, "version": _VERSION, "zoo": zoo, "rows": []}
        new |= {} if system is None else {"system": system}
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else new
        defaults, key = content.get("defaults", {}), ("kind", "variant", "k", "lmbda")
        same = [{**defaults, **entry}.get(name) for name in key]
        content["rows"] = [r for r in content["rows"] if [{**defaults, **r}.get(name) for name in key] != same]
        content["rows"].append(dict(entry))
        text = json.dumps(content, indent=2) + "\n"
        rows_of_text(text, lambda file: file)
        write_bytes(path, text.encode())


def _row(defaults: dict[str, Any], entry: object, locate: Callable[[str], str]) -> Row:
    values = {**defaults, **_object("row", entry, _ROW_FIELDS | {"file", "url"}, {"kind"})}
    file, url = values.pop("file", None), values.pop("url", None)
    if (file is None) == (url is None) or not isinstance(url if file is None else file, str):
        raise ValueError(must("file or url", "one of the two, a string", (file, url)))
    if url is not None and not url.startswith(("https://", "http://", "hf://")):
        raise ValueError(must("url", "http://, https:// or hf://", url))
    return Row(url=locate(str(file)) if url is None else url, **values)


def _object(name: str, value: object, allowed: Set[str], needed: Set[str] = frozenset()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(must(name, "a JSON object", value))
    if set(value) - allowed:
        raise ValueError(must(name, f"an object with keys of {sorted(allowed)}", sorted(value)))
    if needed - set(value):
        raise ValueError(must(name, f"an object with the keys {sorted(needed)}", sorted(value)))
    return value
