"""`slmzoo eval sweep`: features once, and everything after them at each operating point."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from slmcore.files.fetch import resolve
from slmcore.roles import Quantizer
from slmcore.units import OperatingPoint, Units
from slmzoo import hub
from slmzoo.commands.common import parse_point
from slmzoo.commands.evaluate.report import Evaluation
from slmzoo.commands.options.evaluation import SweepOptions
from slmzoo.evaluation.recordings import found_in, matched
from slmzoo.evaluation.report.findings import Findings
from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.report.results import Row, Score
from slmzoo.evaluation.speech.asr import recogniser
from slmzoo.evaluation.speech.speech_scores import transcripts
from slmzoo.evaluation.units import abx
from slmzoo.evaluation.units.feature_store import features_of, lengths
from slmzoo.evaluation.units.sweep import Known, keep, kept, scores_at, spoken, units_at
from slmzoo.evaluation.units.textgrid import alignments_in
from slmzoo.evaluation.units.unit_scores import Found
from slmzoo.evaluation.units.unit_store import fingerprint
from slmzoo.kinds import Role
from slmzoo.systems import rows_of, unit_roles

__all__ = ["Sweep"]


_VOICE: tuple[Role, ...] = ("codec",)


@dataclass(frozen=True, kw_only=True)
class Sweep(SweepOptions, Evaluation):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Units at many operating points, each measured once."""

    def run(self) -> int:
        """Measure all points."""
        points = self._points()
        models = self._asked(points)
        quantizers = {
            k: {lmbda: hub.quantizer(k=k, lmbda=lmbda, **self._placed, **self._family) for lmbda in lmbdas}
            for k, lmbdas in points.items()
        }
        layers = {_point(of_k).layer for of_k in quantizers.values()}
        material, problems = self._material(layers, models)
        self.insist("sweep", problems)
        scores: list[Score] = []
        tables: dict[str, list[Row]] = {}
        with tqdm(total=sum(map(len, points.values())), desc="operating points", disable=None) as progress:
            for of_k in quantizers.values():
                for some, rows in self._of_codebook(of_k, material):
                    scores += some
                    for metric, of_point in rows.items():
                        tables.setdefault(metric, []).extend(of_point)
                    progress.update()
        conventions = {
            "zoo": self.zoo,
            "deduplicated": True,
            "seed": self.seed,
            "abx": "identical or not",
            "on": "units",
        }
        conventions |= {"asr": self.asr, "resynthesis": "greedy"} if material.known.said else {}
        conventions |= {f"num_neighbors, k = {k}": _point(of_k).num_neighbors for k, of_k in quantizers.items()}
        found = Findings(scores=scores, tables=tables, conventions=conventions, models=models, problems=problems)
        return self.finish("sweep", found)

    def _points(self) -> dict[int, list[float]]:
        """The lambdas of each k, none of them twice."""
        if self.points and (self.k or self.lmbda):
            raise ValueError("--points names k and lambda: leave out --k and --lmbda.")
        pairs = [parse_point(text) for text in self.points] or list(product(self.k, self.lmbda))
        if not pairs:
            raise ValueError("A sweep needs at least one --k and one --lmbda, or --points.")
        return {k: list(dict.fromkeys(lmbda for of, lmbda in pairs if of == k)) for k, _ in pairs}

    def _asked(self, points: Mapping[int, Sequence[float]]) -> dict[str, dict[str, Any]]:
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
                rows |= {_at(kind, k, lmbda): row for kind, row in rows_of(where, point, "acoustic model").items()}
        for row in rows.values():
            resolve(row)
        asr = {"asr": outside(self.asr)} if speaks else {}
        return {**self.models(rows), **asr}

    def _material(
        self, layers: set[int | None], models: Mapping[str, Any]
    ) -> tuple[_Material, dict[str, Sequence[str]]]:
        """The features, and what is known of the recordings; and what is wrong with either."""
        if len(layers) > 1:
            raise ValueError(f"These codebooks are of several layers ({layers}). Sweep those of one layer at a time.")
        files, problems = found_in(self.data)
        encoder: Any = hub.encoder(**self._placed, **self._family)
        encoder.to(getattr(torch, self.dtype))
        about = {name: json.dumps(model) for name, model in models.items() if "," not in name}
        features, failed = features_of(encoder, layers.pop(), files, self.out / "features", about)
        readable = {name: path for name, path in files.items() if name not in failed}
        if not readable:
            raise ValueError(f"{self.data} holds no recording that units could be made of.")
        known, wrong = self._known(readable, lengths(features), encoder.frame_rate)
        material = _Material(files=readable, features=features, known=known, models=models)
        return material, {**problems, "unreadable": sorted(failed), **wrong}

    def _of_codebook(self, quantizers: Mapping[float, Quantizer], material: _Material) -> Iterator[Found]:
        """The scores at each lambda, made or kept from an earlier run."""
        point = _point(quantizers)
        units: dict[float, dict[str, Units]] = {}
        folder = self.out / "points"
        folder.mkdir(parents=True, exist_ok=True)
        for lmbda in quantizers:
            path = folder / f"k{point.k}-lmbda{lmbda:g}.json"
            key = self._made_of(material, replace(point, lmbda=lmbda))
            found = kept(path, key)
            if found is None:
                units = units or units_at(material.features, quantizers, point, self.chosen_device())
                heard = self._heard(point.k, lmbda, units[lmbda], material)
                found = scores_at(units[lmbda], material.known, heard, self.bootstrap, seed=self.seed)
                keep(path, key, found)
            yield found

    @property
    def _family(self) -> dict[str, Any]:
        return {"variant": self.variant}

    @property
    def _placed(self) -> dict[str, Any]:
        return {**self._source, "map_location": self.chosen_device()}

    @property
    def _source(self) -> dict[str, Any]:
        return {"zoo": self.zoo, "registry": self.registry}

    def _known(
        self, files: Mapping[str, Path], frames: Mapping[str, int], frame_rate: float
    ) -> tuple[Known, dict[str, list[str]]]:
        problems: dict[str, list[str]] = {}
        known = Known(alignments={}, items=[], said={})
        if self.alignments is not None:
            found, unreadable = alignments_in(self.alignments, self.tier)
            problems |= {"unreadable alignments": unreadable, **matched("alignments", files, found)}
            known = replace(known, alignments={name: phones for name, phones in found.items() if name in files})
        if self.item is not None:
            items = abx.read_items(self.item)
            problems |= matched("recordings of items", {item.file for item in items}, files)
            there = [item for item in items if item.file in files]
            inside = [bool(range(frames[item.file])[abx.frames(item, frame_rate)]) for item in there]
            pairs = list(zip(there, inside, strict=True))
            problems["too short"] = [item.label for item, long in pairs if not long]
            known = replace(known, items=[item for item, long in pairs if long])
        if self.transcripts is not None:
            said, wrong = transcripts(self.transcripts)
            problems |= {f"transcripts {kind}": names for kind, names in wrong.items()}
            problems |= matched("transcripts", files, said)
            known = replace(known, said={name: text for name, text in said.items() if name in files})
        return known, problems

    def _heard(self, k: int | None, lmbda: float, units: Mapping[str, Units], material: _Material) -> dict[str, str]:
        """Transcribe the greedy resynthesis of the recordings that have reference transcripts."""
        said = material.known.said
        if not said:
            return {}
        synthesizer: Any = hub.synthesizer(k=k, lmbda=lmbda, **self._placed, **self._family)
        synthesizer = synthesizer.to(getattr(torch, self.dtype))
        listen = recogniser(self.asr, self.chosen_device())
        chosen = {name: units[name] for name in said}
        return spoken(chosen, material.files, synthesizer, listen)

    def _made_of(self, material: _Material, point: OperatingPoint) -> str:
        """Fingerprint of a point's data, models and options."""
        at = (f", k = {point.k}", _at("", point.k, point.lmbda))
        models = {n: json.dumps(m) for n, m in material.models.items() if "," not in n or n.endswith(at)}
        given = [path for path in (self.alignments, self.item, self.transcripts) if path is not None]
        beside = {str(file): file for path in given for file in (path, *path.rglob("*")) if file.is_file()}
        options = [point.to_json(), asdict(self.bootstrap), self.seed, self.tier, self.asr]
        text = json.dumps([fingerprint({**material.files, **beside}, models), options])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class _Material:
    """Data that each point is evaluated on."""

    files: Mapping[str, Path]
    features: Sequence[Path]
    known: Known
    models: Mapping[str, Any]
    """Name and digest of the file of each."""


def _at(kind: str, k: int | None, lmbda: float | None) -> str:
    """Name of a model of an operating point in the result."""
    return f"{kind}, k = {k}, lambda = {lmbda:g}"


def _point(quantizers: Mapping[float, Quantizer]) -> OperatingPoint:
    """Operating point of quantisers of one codebook, without lambda."""
    point = next(iter(quantizers.values())).operating_point
    assert point is not None  # noqa: S101  # a codebook of a zoo has one
    return replace(point, lmbda=None)
