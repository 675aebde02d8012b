"""Table of all checkpoints, published, shipped and the user's own, by zoo, kind, variant, k and lambda."""

from __future__ import annotations

import importlib
import importlib.resources
import os
import pkgutil
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path

import slmcore.zoos
from slmcore.errors import must
from slmcore.files.rows import Row, check_k, check_lmbda, file_name, shown
from slmcore.files.zoofile import rows_of_file, rows_of_text
from slmcore.units import OperatingPoint

__all__ = [
    "Registries",
    "Row",
    "built_in_rows",
    "built_in_zoos",
    "default_row",
    "find",
    "operating_points",
    "reserved_zoos",
    "rows",
    "shared_names",
    "system_of",
    "variant_of",
    "zoos",
]

#: One registry file or several, in addition to those of `SLMZOO_REGISTRY`.
Registries = str | Path | Sequence[str | Path] | None

_DEMO = "slmzoo.demo"


def rows(zoo: str | None = None, kind: str | None = None, registry: Registries = None) -> tuple[Row, ...]:
    """Return all rows, or those of one zoo and kind: published, the demo's, then those of the user's registries.

    Registries are the files named in `SLMZOO_REGISTRY` (separated as in PATH) and in `registry`. Raises ValueError for
    an unknown zoo or kind, or an invalid registry.
    """
    table = [*built_in_rows(), *_demo()]
    for file in _registry_files(registry):
        _add(table, rows_of_file(file), file)
    if zoo is not None and zoo not in {row.zoo for row in table}:
        valid = ", ".join(dict.fromkeys(row.zoo for row in table))
        raise ValueError(must("zoo", f"one of {valid}", zoo, "Others come from SLMZOO_REGISTRY or `registry=`."))
    if kind is not None and kind not in {row.kind for row in table}:
        raise ValueError(must("kind", f"one of {_listed(row.kind for row in table)}", kind))
    return tuple(row for row in table if zoo in (None, row.zoo) and kind in (None, row.kind))


@cache
def built_in_rows() -> tuple[Row, ...]:
    """Return the rows of all built-in zoos, DP-SLM's first, the others by name."""
    names = sorted(
        (file.name for file in pkgutil.iter_modules(slmcore.zoos.__path__)), key=lambda n: (n != "dp_slm", n)
    )
    tables = (importlib.import_module(f"slmcore.zoos.{name}") for name in names)
    return tuple(row for table in tables for row in table.published_rows())


@cache
def built_in_zoos() -> frozenset[str]:
    """Return the names of the built-in zoos, whose files keep their published names in the cache."""
    return frozenset(row.zoo for row in built_in_rows())


@cache
def shared_names() -> frozenset[str]:
    """Return file names that occur several times in the built-in zoos, such as config.json."""
    names = Counter(row.file for row in {row.url: row for row in built_in_rows()}.values())
    return frozenset(name for name, files in names.items() if files > 1)


def zoos(registry: Registries = None) -> tuple[str, ...]:
    """Return the names of all zoos."""
    return tuple(dict.fromkeys(row.zoo for row in rows(registry=registry)))


def reserved_zoos() -> frozenset[str]:
    """Return the names that a user's registry may not take: the built-in zoos and the shipped ones."""
    return built_in_zoos() | {"demo"} | {row.zoo for row in _demo()}


def system_of(zoo: str, registry: Registries = None) -> str:
    """Return the system of the models of `zoo`."""
    return rows(zoo, None, registry)[0].system


def default_row(kind: str, zoo: str, registry: Registries = None) -> Row | None:
    """Return the row of `kind` at the default operating point; None if the zoo marks none."""
    return next((row for row in rows(zoo, kind, registry) if row.default), None)


def find(
    kind: str,
    *,
    zoo: str = "dp-slm",
    variant: str | None = None,
    k: int | None = None,
    lmbda: float | None = None,
    layer: int | None = None,
    registry: Registries = None,
) -> Row:
    """Return the row of `kind` at this operating point.

    `variant` None means the zoo's first of that kind. `k`, `lmbda` and `layer` may be left out where that leaves one
    row; a row that does not depend on one of them matches any. Raises a ValueError that lists the valid rows.
    """
    k, lmbda = check_k(k), check_lmbda(lmbda)
    here = rows(zoo, kind, registry)
    if not here:
        has = _listed(row.kind for row in rows(zoo, None, registry))
        raise ValueError(f"The zoo {zoo!r} has no {kind}. It has {has}.")
    variant = here[0].variant if variant is None else variant
    of_variant = [row for row in here if row.variant == variant]
    if not of_variant:
        raise ValueError(must("variant", f"one of {_listed(row.variant for row in here)}", variant))
    wanted = {"k": k, "lmbda": lmbda, "layer": layer}
    found = [row for row in of_variant if all(_agree(getattr(row, n), v) for n, v in wanted.items())]
    if len(found) == 1:
        return found[0]
    raise ValueError(_no_single_row(kind, zoo, wanted, found, of_variant))


def variant_of(kind: str, wanted: str | None, *, zoo: str, registry: Registries = None) -> str | None:
    """Return the variant `wanted`, or the zoo's only variant of `kind`.

    Entry points are named after published variants, which other zoos need not have. Where a zoo has several, the name
    must be one of them, lest other weights than requested be loaded silently.
    """
    own = {row.variant for row in rows(zoo, kind, registry)}
    return own.pop() if len(own) == 1 else wanted


def operating_points(
    zoo: str = "dp-slm", registry: Registries = None, kinds: Collection[str] | None = None
) -> tuple[OperatingPoint, ...]:
    """Return the points with k and lambda of the rows of `zoo`, or of those of some `kinds`, in the table's order."""
    found = (row for row in rows(zoo, None, registry) if kinds is None or row.kind in kinds)
    points = (row.operating_point for row in found)
    known = (point for point in points if point is not None and None not in (point.k, point.lmbda))
    return tuple(dict.fromkeys(known))


def _agree(known: object, wanted: object) -> bool:
    return known is None or wanted is None or known == wanted


def _no_single_row(kind: str, zoo: str, wanted: dict, found: list[Row], candidates: list[Row]) -> str:
    asked = ", ".join(f"{name}={shown(value)}" for name, value in wanted.items() if value is not None)
    names = [n for n in wanted if any(getattr(row, n) is not None for row in candidates) and (n != "layer")]
    if wanted["layer"] is not None and all(not _agree(row.layer, wanted["layer"]) for row in candidates):
        names.append("layer")
    points = _listed("(" + ", ".join(shown(getattr(row, n)) for n in names) + ")" for row in candidates)
    problem = "needs more to be named" if found else "has no such row"
    return f"{kind} of the zoo {zoo!r} {problem} ({asked or 'nothing given'}). Valid ({', '.join(names)}): {points}."


def _listed(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))


def _registry_files(registry: Registries) -> list[Path]:
    named = [part for part in os.environ.get("SLMZOO_REGISTRY", "").split(os.pathsep) if part]
    if isinstance(registry, (str, Path)):
        named.append(str(registry))
    elif isinstance(registry, Sequence) and all(isinstance(file, (str, Path)) for file in registry):
        named.extend(str(file) for file in registry)
    elif registry is not None:
        raise ValueError(must("registry", "a path of a JSON file, or a list of such", registry))
    return list(dict.fromkeys(Path(part).expanduser().resolve() for part in named))


def _add(table: list[Row], new: tuple[Row, ...], file: Path) -> None:
    earlier, taken = {row.key: row for row in table}, reserved_zoos()
    for row in new:
        if row.zoo in taken:
            raise ValueError(f"The registry {file} calls its zoo {row.zoo!r}, which is taken. Choose another name.")
        if earlier.get(row.key, row) != row:
            raise ValueError(f"The registry {file} names another file for {row.label} than an earlier registry does.")
        if row.key not in earlier:
            table.append(row)


@cache
def _demo() -> tuple[Row, ...]:
    """Return the rows of the shipped zoos, addressed by package name, those of `demo` first.

    There are none if only single systems are installed.
    """
    try:
        files = [file for file in importlib.resources.files(_DEMO).iterdir() if file.name.endswith(".json")]
    except (ModuleNotFoundError, FileNotFoundError):
        return ()
    files.sort(key=lambda file: (file.name != "zoo.json", file.name))
    return tuple(row for file in files for row in rows_of_text(file.read_text(encoding="utf-8"), _in_the_package))


def _in_the_package(file: str) -> str:
    return f"package://{_DEMO}/{file_name(file)}"
