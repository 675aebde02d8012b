"""Evaluation of many operating points in one call: features once, and each point measured once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from slmcore.roles import Encoder, Quantizer, Synthesizer
from slmcore.units import OperatingPoint, Units
from slmzoo.evaluation.recordings import matched
from slmzoo.evaluation.report.results import Check, Findings, Problems, Row, Score, accept
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.speech.asr import recogniser
from slmzoo.evaluation.speech.speech_scores import transcripts
from slmzoo.evaluation.units import abx
from slmzoo.evaluation.units.feature_store import features_of, lengths
from slmzoo.evaluation.units.sweep import Known, keep, kept, scores_at, spoken, units_at
from slmzoo.evaluation.units.textgrid import alignments_in
from slmzoo.evaluation.units.unit_scores import Scored
from slmzoo.evaluation.units.unit_store import fingerprint

__all__ = ["Annotations", "Speaker", "at_point", "evaluate_sweep"]

Speaker = Callable[[OperatingPoint], Synthesizer]
"""Loads the synthesiser of an operating point."""


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """Files of annotations of the recordings; metrics without theirs are skipped."""

    alignments: Path | None = None
    """Folder of TextGrids, named by the stems of their recordings."""
    tier: str = "phones"
    """Tier of the phones."""
    item: Path | None = None
    """Item file of an ABX task."""
    transcripts: Path | None = None
    """File or folder of reference texts, for word errors of greedy resynthesis."""

    @property
    def files(self) -> dict[str, Path]:
        """All files of the annotations, by path."""
        given = [path for path in (self.alignments, self.item, self.transcripts) if path is not None]
        return {str(file): file for path in given for file in (path, *path.rglob("*")) if file.is_file()}


def evaluate_sweep(
    encoder: Encoder,
    quantizers: Sequence[Mapping[float, Quantizer]],
    files: Mapping[str, Path],
    folder: Path,
    annotations: Annotations = Annotations(),  # frozen
    *,
    speaker: Speaker | None = None,
    asr: str = "pocketsphinx",
    device: str = "cpu",
    seed: int = 0,
    models: Mapping[str, Any] | None = None,
    problems: Problems | None = None,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
) -> Findings:
    """Bit rate, codebook use, phone information, ABX and word errors of units at many operating points.

    `quantizers`: for each codebook, its quantisers by lambda, all of one layer. `files`: recordings by id. Features
    and scores are kept in `folder`, from which an interrupted call resumes. `speaker`: for word errors, needed with
    transcripts, which the recogniser `asr` transcribes. `models`: provenance by name; the names of models of a point
    end as `at_point` says. Recordings that cannot be scored are problems. Raises ValueError for codebooks of several
    layers or without any readable recording, and the errors of `check`.
    """
    sweep = _Sweep(annotations, speaker, asr, device, seed, models or {}, bootstrap or Bootstrap(), folder)
    data, wrong = sweep.data(encoder, _layer(quantizers), files)
    all_problems = {**(problems or {}), **wrong}
    check(all_problems)
    scores: list[Score] = []
    tables: dict[str, list[Row]] = {}
    with tqdm(total=sum(map(len, quantizers)), desc="operating points", disable=None) as progress:
        for of_codebook in quantizers:
            for point_scores, rows in sweep.of_codebook(of_codebook, data):
                scores += point_scores
                for metric, of_point in rows.items():
                    tables.setdefault(metric, []).extend(of_point)
                progress.update()
    conventions: dict[str, Any] = {"deduplicated": True, "seed": seed, "abx": "identical or not", "on": "units"}
    conventions |= {"asr": asr, "resynthesis": "greedy"} if data.known.transcripts else {}
    points = map(_point, quantizers)
    conventions |= {f"num_neighbors, k = {point.k}": point.num_neighbors for point in points}
    return Findings(
        scores=scores, tables=tables, conventions=conventions, models=dict(models or {}), problems=all_problems
    )


def at_point(kind: str, k: int | None, lmbda: float | None) -> str:
    """Return the name of a model of an operating point in the result."""
    return f"{kind}, k = {k}, lambda = {lmbda:g}"


@dataclass(frozen=True, kw_only=True)
class _Data:
    """Data that each point is evaluated on."""

    files: Mapping[str, Path]
    features: Sequence[Path]
    known: Known


@dataclass(frozen=True)
class _Sweep:
    annotations: Annotations
    speaker: Speaker | None
    asr: str
    device: str
    seed: int
    models: Mapping[str, Any]
    bootstrap: Bootstrap
    folder: Path

    def data(self, encoder: Encoder, layer: int | None, files: Mapping[str, Path]) -> tuple[_Data, Problems]:
        """Return features and annotations of the recordings, and problems of both."""
        about = {name: json.dumps(model) for name, model in self.models.items() if "," not in name}
        features, failed = features_of(encoder, layer, files, self.folder / "features", about)
        readable = {name: path for name, path in files.items() if name not in failed}
        if not readable:
            raise ValueError(f"None of the {len(files)} recordings can be read: there are no units.")
        known, wrong = _known(self.annotations, readable, lengths(features), encoder.frame_rate)
        return _Data(files=readable, features=features, known=known), {"unreadable": sorted(failed), **wrong}

    def of_codebook(self, quantizers: Mapping[float, Quantizer], data: _Data) -> Iterator[Scored]:
        """Yield the scores at each lambda, computed or kept from an earlier run."""
        point = _point(quantizers)
        units: dict[float, dict[str, Units]] = {}
        folder = self.folder / "points"
        folder.mkdir(parents=True, exist_ok=True)
        for lmbda in quantizers:
            at = replace(point, lmbda=lmbda)
            path, key = folder / f"k{point.k}-lmbda{lmbda:g}.json", self._key(data, at)
            scored = kept(path, key)
            if scored is None:
                units = units or units_at(data.features, quantizers, point, self.device)
                hypotheses = self._hypotheses(at, units[lmbda], data)
                scored = scores_at(units[lmbda], data.known, hypotheses, self.bootstrap, seed=self.seed)
                keep(path, key, scored)
            yield scored

    def _hypotheses(self, point: OperatingPoint, units: Mapping[str, Units], data: _Data) -> dict[str, str]:
        """Transcribe the greedy resynthesis of the recordings with reference transcripts."""
        if not data.known.transcripts:
            return {}
        if self.speaker is None:
            raise ValueError("Word errors need a synthesiser at each point: give `speaker`, or no transcripts.")
        listen = recogniser(self.asr, self.device)
        return spoken({name: units[name] for name in data.known.transcripts}, data.files, self.speaker(point), listen)

    def _key(self, data: _Data, point: OperatingPoint) -> str:
        """Return the fingerprint of a point's data, models and options."""
        ends = (f", k = {point.k}", at_point("", point.k, point.lmbda))
        models = {n: json.dumps(m) for n, m in self.models.items() if "," not in n or n.endswith(ends)}
        options = [point.to_json(), asdict(self.bootstrap), self.seed, self.annotations.tier, self.asr]
        text = json.dumps([fingerprint({**data.files, **self.annotations.files}, models), options])
        return hashlib.sha256(text.encode()).hexdigest()


def _known(
    annotations: Annotations, files: Mapping[str, Path], frames: Mapping[str, int], frame_rate: float
) -> tuple[Known, dict[str, list[str]]]:
    problems: dict[str, list[str]] = {}
    known = Known(alignments={}, items=[], transcripts={})
    if annotations.alignments is not None:
        alignments, unreadable = alignments_in(annotations.alignments, annotations.tier)
        problems |= {"unreadable alignments": unreadable, **matched("alignments", files, alignments)}
        known = replace(known, alignments={name: phones for name, phones in alignments.items() if name in files})
    if annotations.item is not None:
        items = abx.read_items(annotations.item)
        problems |= matched("recordings of items", {item.file for item in items}, files)
        covered = [item for item in items if item.file in files]
        inside = [bool(range(frames[item.file])[abx.frames(item, frame_rate)]) for item in covered]
        pairs = list(zip(covered, inside, strict=True))
        problems["too short"] = [item.label for item, long in pairs if not long]
        known = replace(known, items=[item for item, long in pairs if long])
    if annotations.transcripts is not None:
        references, wrong = transcripts(annotations.transcripts)
        problems |= {f"transcripts {kind}": names for kind, names in wrong.items()}
        problems |= matched("transcripts", files, references)
        known = replace(known, transcripts={name: text for name, text in references.items() if name in files})
    return known, problems


def _point(quantizers: Mapping[float, Quantizer]) -> OperatingPoint:
    """Return the operating point of quantisers of one codebook, without lambda."""
    point = next(iter(quantizers.values())).operating_point
    if point is None:
        raise ValueError("Quantisers of a sweep must state their operating point, but one has none.")
    return replace(point, lmbda=None)


def _layer(quantizers: Sequence[Mapping[float, Quantizer]]) -> int | None:
    layers = {_point(of_codebook).layer for of_codebook in quantizers}
    if len(layers) != 1:
        raise ValueError(f"These codebooks are of several layers ({layers}). Sweep those of one layer at a time.")
    return layers.pop()
