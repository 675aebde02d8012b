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

from dpdp import DPDPQuantizer
from slmcore.files.fetch import resolve
from slmcore.units import OperatingPoint, Units
from slmzoo import hub
from slmzoo.commands.common import parse_point
from slmzoo.commands.evaluate import Evaluation, Findings
from slmzoo.commands.evaluate_units import alignments_in, matched, shown
from slmzoo.commands.options.evaluation import SweepOptions
from slmzoo.evaluation.likelihood.pairs import found_in
from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.report.results import Row, Score
from slmzoo.evaluation.speech.asr import recogniser
from slmzoo.evaluation.speech.speech_scores import transcripts
from slmzoo.evaluation.units import abx
from slmzoo.evaluation.units.feature_store import features_of, lengths
from slmzoo.evaluation.units.sweep import Known, keep, kept, scores_at, spoken, units_at
from slmzoo.evaluation.units.unit_scores import Found
from slmzoo.evaluation.units.unit_store import fingerprint
from slmzoo.pipeline import Synthesizer

__all__ = ["Sweep"]


@dataclass(frozen=True, kw_only=True)
class Sweep(SweepOptions, Evaluation):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Units at many operating points, each measured once."""

    def run(self) -> int:
        """Measure all points."""
        points = self._points()
        models = self._asked(points)
        quantizers = {k: hub.quantizer(k=k, lmbda=lmbdas[0], **self._source) for k, lmbdas in points.items()}
        layers = {_point(quantizer).layer for quantizer in quantizers.values()}
        material, problems = self._material(layers, models)
        self.insist("sweep", problems)
        scores: list[Score] = []
        tables: dict[str, list[Row]] = {}
        with tqdm(total=sum(map(len, points.values())), desc="operating points", disable=None) as progress:
            for k, quantizer in quantizers.items():
                for some, rows in self._of_codebook(quantizer, points[k], material):
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
        conventions |= {f"num_neighbors, k = {k}": quantizer.num_neighbors for k, quantizer in quantizers.items()}
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
        """What each model of the sweep is; all are looked up and brought here, so that no work is lost for one."""
        speaks = self.transcripts is not None
        rows = self.rows(None, "wavlm", *(["wavtokenizer"] if speaks else []))
        for k, lmbdas in points.items():
            rows[f"codebook, k = {k}"] = self.rows(OperatingPoint(zoo=self.zoo, k=k), "codebook")["codebook"]
            for lmbda in lmbdas if speaks else []:
                rows[_ellav(k, lmbda)] = self.rows(OperatingPoint(zoo=self.zoo, k=k, lmbda=lmbda), "ellav")["ellav"]
        for row in rows.values():
            resolve(row)
        asr = {"asr": outside(self.asr)} if speaks else {}
        return {**{name: self.described(row) for name, row in rows.items()}, **asr}

    def _material(
        self, layers: set[int | None], models: Mapping[str, Any]
    ) -> tuple[_Material, dict[str, Sequence[str]]]:
        """The features, and what is known of the recordings; and what is wrong with either."""
        if len(layers) > 1:
            raise ValueError(f"These codebooks are of several layers ({layers}). Sweep those of one layer at a time.")
        files, problems = found_in(self.data)
        encoder = hub.wavlm(**self._source)[0].to(self.chosen_device(), getattr(torch, self.dtype))
        about = {"wavlm": json.dumps(models["wavlm"])}
        features, failed = features_of(encoder, layers.pop(), files, self.out / "features", about)
        readable = {name: path for name, path in files.items() if name not in failed}
        if not readable:
            raise ValueError(f"{self.data} holds no recording that units could be made of.")
        known, wrong = self._known(readable, lengths(features), encoder.frame_rate)
        material = _Material(files=readable, features=features, known=known, models=models)
        return material, {**problems, "unreadable": sorted(failed), **wrong}

    def _of_codebook(self, quantizer: DPDPQuantizer, lmbdas: Sequence[float], material: _Material) -> Iterator[Found]:
        """The scores at each lambda, made or kept from an earlier run."""
        point = _point(quantizer)
        units: dict[float, dict[str, Units]] = {}
        folder = self.out / "points"
        folder.mkdir(parents=True, exist_ok=True)
        for lmbda in lmbdas:
            path = folder / f"k{point.k}-lmbda{lmbda:g}.json"
            key = self._made_of(material, replace(point, lmbda=lmbda))
            found = kept(path, key)
            if found is None:
                units = units or units_at(material.features, quantizer.to(self.chosen_device()), point, lmbdas)
                heard = self._heard(point.k, lmbda, units[lmbda], material)
                found = scores_at(units[lmbda], material.known, heard, self.bootstrap, seed=self.seed)
                keep(path, key, found)
            yield found

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
            problems["too short"] = [shown(item) for item, long in pairs if not long]
            known = replace(known, items=[item for item, long in pairs if long])
        if self.transcripts is not None:
            said, wrong = transcripts(self.transcripts)
            problems |= {f"transcripts {kind}": names for kind, names in wrong.items()}
            problems |= matched("transcripts", files, said)
            known = replace(known, said={name: text for name, text in said.items() if name in files})
        return known, problems

    def _heard(self, k: int | None, lmbda: float, units: Mapping[str, Units], material: _Material) -> dict[str, str]:
        """What a recogniser hears in the greedy resynthesis of the recordings whose words are known."""
        said = material.known.said
        if not said:
            return {}
        synthesizer = Synthesizer(hub.ellav(k=k, lmbda=lmbda, **self._source), hub.codec(**self._source))
        synthesizer = synthesizer.to(self.chosen_device(), getattr(torch, self.dtype))
        listen = recogniser(self.asr, self.chosen_device())
        chosen = {name: units[name] for name in said}
        return spoken(chosen, material.files, synthesizer, listen)

    def _made_of(self, material: _Material, point: OperatingPoint) -> str:
        """What tells the scores of a point from those of other data, models or options."""
        names = ("wavlm", "wavtokenizer", "asr", f"codebook, k = {point.k}", _ellav(point.k, point.lmbda))
        models = {name: json.dumps(material.models[name]) for name in names if name in material.models}
        given = [path for path in (self.alignments, self.item, self.transcripts) if path is not None]
        beside = {str(file): file for path in given for file in (path, *path.rglob("*")) if file.is_file()}
        options = [point.to_json(), asdict(self.bootstrap), self.seed, self.tier, self.asr]
        text = json.dumps([fingerprint({**material.files, **beside}, models), options])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class _Material:
    """What is measured at each point."""

    files: Mapping[str, Path]
    features: Sequence[Path]
    known: Known
    models: Mapping[str, Any]
    """Name and digest of the file of each."""


def _ellav(k: int | None, lmbda: float | None) -> str:
    """What the result calls the acoustic model of a point."""
    return f"ellav, k = {k}, lambda = {lmbda:g}"


def _point(quantizer: DPDPQuantizer) -> OperatingPoint:
    """Where its codebook lies, at no lambda."""
    point = quantizer.operating_point
    assert point is not None  # noqa: S101  # a codebook of a zoo has one
    return replace(point, lmbda=None)
