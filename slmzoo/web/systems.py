"""The systems of the page: availability on this machine, and their models, loaded on request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from dpdp import DPDPQuantizer
from slmcore.files import fetch
from slmcore.files import registry as table
from slmcore.files.registry import Registries
from slmcore.roles import Quantizer, options_of
from slmzoo import hub, systems
from slmzoo.pipeline import Pipeline
from slmzoo.web.limits import MissingError

__all__ = ["Offer", "Systems"]

_UNKNOWN_SCALE = 1.0


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A zoo in the page's list."""

    zoo: str
    here: bool
    """Whether its models are on this machine."""
    why: str = ""
    """Missing files and how to get them."""
    lacks: frozenset[str] = frozenset()
    """Roles not needed for units whose models are not on this machine."""
    ks: tuple[int, ...] = ()
    """Sizes of the codebooks on this machine."""


@dataclass
class Systems:
    """Pipelines by zoo, each loaded on first use, from files on this machine only."""

    registry: Registries = None
    device: str = "cpu"
    k: int | None = None
    lmbda: float | None = None
    first: str = "demo"
    """Zoo of `k` and `lmbda`, which the page shows first."""
    _loaded: dict[str, Pipeline] = field(default_factory=dict)
    _quantizers: dict[tuple[str, int], Quantizer] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def offers(self) -> list[Offer]:
        """All zoos: the first, then those on this machine, then the rest."""
        zoos = list(table.zoos(self.registry))
        found = [self.offer(zoo) for zoo in zoos]
        return sorted(found, key=lambda each: (each.zoo != self.first, not each.here))

    def offer(self, zoo: str) -> Offer:
        """State of a zoo on this machine. Raises MissingError for an unknown one."""
        if zoo not in table.zoos(self.registry):
            raise MissingError(f"There is no zoo {zoo!r} on this server.")
        try:
            absent, needed = self._absent(zoo), systems.unit_roles(self._where(zoo))
        except ValueError as error:
            return Offer(zoo=zoo, here=False, why=str(error))
        here, files = not absent.keys() & needed, [file for each in absent.values() for file in each]
        missing = f"Not on this machine: {', '.join(files[:3])}{', ...' if len(files) > 3 else ''}."
        why = f"{missing} `slmzoo fetch --zoo {zoo}` downloads the models." if files else ""
        return Offer(zoo=zoo, here=here, why=why, lacks=frozenset(absent), ks=tuple(sorted(set(self._sizes(zoo)))))

    def pipeline(self, zoo: str) -> Pipeline:
        """The models of a zoo. Raises MissingError where they are not on this machine."""
        with self._lock:
            if zoo not in self._loaded:
                offer = self.offer(zoo)
                if not offer.here:
                    raise MissingError(f"The models of {zoo} cannot be used. {offer.why}")
                made = hub.pipeline(
                    *self._point(zoo),
                    zoo=zoo,
                    registry=self.registry,
                    with_ulm="language model" not in offer.lacks,
                    with_speech=not offer.lacks - {"language model"},
                    progress=False,
                )
                self._loaded[zoo] = made.to(self.device)
            return self._loaded[zoo]

    def quantizer(self, zoo: str, k: int | None, lmbda: float | None) -> Quantizer:
        """The quantiser of a zoo at this k and lambda, by default its own. Raises ValueError for one that it lacks."""
        own = self.pipeline(zoo).quantizer
        if own is None:
            raise ValueError(f"The system of {zoo} is a codec alone: it has no units.")
        if k in (None, own.k) and lmbda in (None, lambda_of(own)):
            return own
        base = own if k in (None, own.k) else self._sized(zoo, int(k or 0))
        if lmbda is None or lmbda == lambda_of(base):
            return base
        if not isinstance(base, DPDPQuantizer):
            raise ValueError(f"The units of {zoo} have no lambda that can be chosen.")
        return _at(base, lmbda)

    def about(self, zoo: str) -> dict[str, Any]:
        """Sizes, roles and voice options of a system, as JSON; it is loaded."""
        made = self.pipeline(zoo)
        offer, quantizer = self.offer(zoo), made.quantizer
        return {
            "zoo": zoo,
            "why": offer.why,
            "origin": next((row.origin for row in made.sources.values()), "origin not stated"),
            "encoder": getattr(made.operating_point, "encoder", None),
            "k": quantizer.k if quantizer is not None else None,
            "ks": list(offer.ks),
            "lmbda": lambda_of(quantizer),
            "scale": _scale(quantizer),
            "frame_rate": made.frame_rate,
            "units": quantizer is not None,
            "stream": quantizer is not None and hasattr(quantizer, "stream"),
            "language_model": made.ulm is not None,
            "speech": made.synthesizer is not None or made.codec is not None,
            "speech_options": sorted(options_of(made.synthesizer)) if made.synthesizer is not None else [],
        }

    def _sized(self, zoo: str, k: int) -> Quantizer:
        """The quantiser of another codebook of a zoo, for the same features."""
        if k not in self.offer(zoo).ks:
            raise MissingError(f"There is no codebook of {k} units of {zoo} on this machine.")
        key = (zoo, k)
        with self._lock:
            if key not in self._quantizers:
                lmbda = lambda_of(self.pipeline(zoo).quantizer)
                made = hub.quantizer(k=k, lmbda=lmbda, zoo=zoo, registry=self.registry, progress=False)
                self._quantizers[key] = made.to(self.device)  # pyright: ignore[reportAttributeAccessIssue]
            return self._quantizers[key]

    def _point(self, zoo: str) -> tuple[int | None, float | None]:
        return (self.k, self.lmbda) if zoo == self.first else (None, None)

    def _where(self, zoo: str) -> hub.Source:
        return hub.Source(zoo=zoo, registry=self.registry)

    def _absent(self, zoo: str) -> dict[str, list[str]]:
        """Files of a zoo's pipeline that are not on this machine, by role."""
        where, known = self._where(zoo), systems.kinds()
        k, lmbda = self._point(zoo)
        wanted = systems.of(where).choice(where, hub.Choice(k=k, lmbda=lmbda), True)
        found: dict[str, list[str]] = {}
        for kind, row in systems.rows_of(where, wanted).items():
            if fetch.status(row).state == "absent":
                found.setdefault(known[kind].role, []).append(row.file)
        return found

    def _sizes(self, zoo: str) -> Iterator[int]:
        known = systems.kinds()
        for row in table.rows(zoo, None, self.registry):
            if row.k is not None and known[row.kind].role == "codebook" and fetch.status(row).state != "absent":
                yield row.k


def lambda_of(quantizer: Any) -> float | None:
    """Lambda of a quantiser, if it has one."""
    return getattr(quantizer, "lmbda", None)


def _at(quantizer: DPDPQuantizer, lmbda: float) -> DPDPQuantizer:
    """The same codes at another lambda."""
    point = quantizer.operating_point
    at = None if point is None else replace(point, lmbda=lmbda)
    made = DPDPQuantizer(
        quantizer.codebook, lmbda, quantizer.num_neighbors, frame_rate=quantizer.frame_rate, operating_point=at
    )
    return made.eval()


def _scale(quantizer: Any) -> float | None:
    """Default lambda: the quantiser's own, or half the variance of its codes; None where it cannot be chosen."""
    if not isinstance(quantizer, DPDPQuantizer):
        return None
    spread = quantizer.codebook - quantizer.codebook.mean(0)
    usual = float(spread.square().sum(1).mean()) / 2 if torch.isfinite(spread).all() else _UNKNOWN_SCALE
    return quantizer.lmbda or usual or _UNKNOWN_SCALE
