"""`slmzoo eval sweep`: features once, and everything after them at each operating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import product
from typing import Any

import torch

from slmcore.files.fetch import resolve
from slmcore.roles import Synthesizer
from slmcore.units import OperatingPoint
from slmzoo import hub
from slmzoo.commands.common import parse_point
from slmzoo.commands.evaluate.report import Evaluation
from slmzoo.commands.options.suites import SweepOptions
from slmzoo.evaluation.recordings import recordings_in
from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.units.sweeping import Annotations, at_point, evaluate_sweep
from slmzoo.kinds import Role
from slmzoo.systems import rows_of, unit_roles

__all__ = ["Sweep"]


_VOICE: tuple[Role, ...] = ("codec",)


@dataclass(frozen=True, kw_only=True)
class Sweep(SweepOptions, Evaluation):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Units at many operating points, each measured once."""

    def run(self) -> int:
        """Load the models of all points, and evaluate."""
        points = self._points()
        models = self._fetched(points)
        quantizers = [
            {lmbda: hub.quantizer(k=k, lmbda=lmbda, **self._placed, **self._family) for lmbda in lmbdas}
            for k, lmbdas in points.items()
        ]
        encoder: Any = hub.encoder(**self._placed, **self._family)
        encoder.to(getattr(torch, self.dtype))
        files, problems = recordings_in(self.data)
        found = evaluate_sweep(
            encoder,
            quantizers,
            files,
            self.out,
            Annotations(**{f.name: getattr(self, f.name) for f in fields(Annotations)}),
            speaker=self._synthesizer,
            asr=self.asr,
            device=self.chosen_device(),
            seed=self.seed,
            models=models,
            problems=problems,
            bootstrap=self.bootstrap,
            check=partial(self.insist, "sweep"),
        )
        return self.finish("sweep", replace(found, conventions={"zoo": self.zoo, **found.conventions}))

    def _points(self) -> dict[int, list[float]]:
        """Return the distinct lambdas of each k."""
        if self.points and (self.k or self.lmbda):
            raise ValueError("--points names k and lambda: leave out --k and --lmbda.")
        pairs = [parse_point(text) for text in self.points] or list(product(self.k, self.lmbda))
        if not pairs:
            raise ValueError("A sweep needs at least one --k and one --lmbda, or --points.")
        return {k: list(dict.fromkeys(lmbda for of, lmbda in pairs if of == k)) for k, _ in pairs}

    def _fetched(self, points: Mapping[int, Sequence[float]]) -> dict[str, dict[str, Any]]:
        """Identify each model of the sweep; all are fetched first, so that a missing one loses no work."""
        speaks = self.transcripts is not None
        where = hub.Source(**self._source)
        once: list[Role] = [role for role in unit_roles(where) if role != "codebook"]
        rows = rows_of(where, hub.Choice(**self._family), *once, *_VOICE[: int(speaks)])
        for k, lmbdas in points.items():
            if "codebook" in unit_roles(where):
                books = rows_of(where, hub.Choice(k=k, **self._family), "codebook")
                rows |= {f"{kind}, k = {k}": row for kind, row in books.items()}
            for lmbda in lmbdas if speaks else []:
                point = hub.Choice(k=k, lmbda=lmbda, **self._family)
                rows |= {at_point(kind, k, lmbda): r for kind, r in rows_of(where, point, "acoustic model").items()}
        for row in rows.values():
            resolve(row)
        asr = {"asr": outside(self.asr)} if speaks else {}
        return {**self.models(rows), **asr}

    def _synthesizer(self, point: OperatingPoint) -> Synthesizer:
        found: Any = hub.synthesizer(k=point.k, lmbda=point.lmbda, **self._placed, **self._family)
        return found.to(getattr(torch, self.dtype))

    @property
    def _family(self) -> dict[str, Any]:
        return {"variant": self.variant}

    @property
    def _placed(self) -> dict[str, Any]:
        return {**self._source, "map_location": self.chosen_device()}

    @property
    def _source(self) -> dict[str, Any]:
        return {"zoo": self.zoo, "registry": self.registry}
