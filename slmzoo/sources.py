"""Source of models, a zoo or a checkpoint, and the agreement of file, table and caller on an operating point."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from slmcore.clustering.codebook import Codebook
from slmcore.errors import must
from slmcore.files import registry as table
from slmcore.files.fetch import resolve
from slmcore.files.registry import Registries, Row
from slmcore.units import OperatingPoint

__all__ = ["Choice", "Source", "agreed", "check_size", "placed", "placed_codebook", "placed_encoder", "warn_once"]

_ALIASES = {"device": "map_location", "source": "zoo", "path": "checkpoint", "file": "checkpoint"}
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Requested models; None leaves a field to the zoo."""

    variant: str | None = None
    k: int | None = None
    lmbda: float | None = None
    layer: int | None = None
    num_neighbors: int | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Source of models: the arguments common to all loaders."""

    zoo: str = "dp-slm"
    checkpoint: str | Path | None = None
    """File, URL or hf://owner/repo/file instead of the table's."""
    map_location: str | torch.device = "cpu"
    progress: bool = True
    registry: Registries = None
    found: dict[str, Row] = field(default_factory=dict, init=False, compare=False, repr=False)
    """Rows of the models loaded from this source, by kind."""

    shared: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """Models with several roles in a pipeline, loaded once, by kind and variant."""

    def __new__(cls, **arguments: Any) -> Source:
        """Refuse an unknown option, with the names of the valid ones."""
        known = [f.name for f in fields(cls) if f.init]
        unknown = next((name for name in arguments if name not in known), None)
        if unknown is not None:
            close = get_close_matches(_ALIASES.get(unknown, unknown), known, 1, 0.4)
            raise TypeError(
                f"{unknown!r} is no option of this loader. Options: {', '.join(known)}."
                + (f" Did you mean {close[0]}?" if close else "")
            )
        return super().__new__(cls)

    @classmethod
    def of(cls, where: Source | None = None, **arguments: Any) -> Source:
        """Return the given source, or make one of its fields."""
        return cls(**arguments) if where is None else where

    def find(self, kind: str, **key: Any) -> Row | None:
        """Return the table's row; None if a checkpoint replaces it."""
        if self.checkpoint is not None:
            return None
        row = table.find(kind, zoo=self.zoo, registry=self.registry, **key)
        self.found[kind] = row
        return row

    def variant(self, kind: str, wanted: str | None) -> str | None:
        """Return the variant `wanted`, or the zoo's only one."""
        if self.checkpoint is not None:
            return wanted
        return table.variant_of(kind, wanted, zoo=self.zoo, registry=self.registry)

    def rows(self) -> tuple[Row, ...]:
        """Return all rows of the zoo."""
        return table.rows(self.zoo, None, self.registry)

    def variants(self, kind: str) -> list[str | None]:
        """Return the variants of a kind in the zoo."""
        return [row.variant for row in self.rows() if row.kind == kind]

    def once(self, kind: str, variant: str | None, load: Callable[[], Any]) -> Any:
        """Return the model of a kind and variant, loaded when first requested from this source."""
        name = f"{kind} {variant}"
        if name not in self.shared:
            self.shared[name] = load()
        return self.shared[name]

    def path(self, row: Row | None) -> Path:
        """Return the file, downloaded if missing."""
        wanted = row if self.checkpoint is None else self.checkpoint
        return resolve(wanted, progress=self.progress)  # pyright: ignore[reportArgumentType]


def placed(model: Any, row: Row | None, where: Source, **given: Any) -> Any:
    """Load a model on its device, with its operating point as far as known."""
    model.operating_point = agreed(model.operating_point, row, where, **given)
    return model.to(where.map_location)


def placed_encoder(model: Any, row: Row | None, where: Source) -> Any:
    """Load an encoder on its device, with the name that its row gives it."""
    model = model.to(where.map_location)
    if row is not None:
        model.operating_point = OperatingPoint(zoo=where.zoo, encoder=row.encoder)
    return model


def placed_codebook(loaded: Codebook, row: Row | None, where: Source, k: int | None, layer: int | None) -> Codebook:
    """Load a codebook on its device, with its operating point. Raises ValueError for another number of codes."""
    check_size("k", k if row is None else row.k, loaded.k, "the codebook's number of codes")
    point = agreed(loaded.operating_point, row, where, k=loaded.k, layer=layer)
    return Codebook(loaded.codes.to(where.map_location), point)


def agreed(held: OperatingPoint | None, row: Row | None, where: Source, **given: Any) -> OperatingPoint:
    """Join the operating points of file, table and caller.

    Raises a ValueError if they disagree; warns if lambda is unknown.
    """
    requested = OperatingPoint(zoo=held.zoo if held else where.zoo, **given)
    for other, name in (
        (row.operating_point if row else None, "The file and the table's row"),
        (requested, "The file and k, lmbda"),
    ):
        if held is not None:
            held.check_compatible(other, name)
    known = [point for point in (held, row.operating_point if row else None, requested) if point is not None]
    fields = ("encoder", "layer", "k", "lmbda", "num_neighbors")
    joined = {f: next((getattr(p, f) for p in known if getattr(p, f) is not None), None) for f in fields}
    if joined["lmbda"] is None and "lmbda" in given:
        warn_once(f"The lambda of {Path(str(where.checkpoint)).name} is not known: give lmbda= to have it checked.")
    return OperatingPoint(zoo=known[0].zoo, **joined)


def check_size(name: str, asked: int | None, found: int, what: str) -> None:
    """Raise a ValueError unless the size requested is the one found."""
    if asked is not None and asked != found:
        raise ValueError(must(name, f"{what} ({found})", asked))


@lru_cache(maxsize=256)
def warn_once(message: str) -> None:
    """Log a warning the first time that it is given."""
    logger.warning(message)
