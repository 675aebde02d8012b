"""Units of the same features at many operating points, and the scores of one point."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.files.digests import write_atomically
from slmcore.roles import Quantizer, Synthesizer, greedy_options, options_of
from slmcore.units import OperatingPoint, Units
from slmzoo.evaluation.report.results import flat, from_flat
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.speech.asr import Recogniser
from slmzoo.evaluation.speech.speech_scores import recognition
from slmzoo.evaluation.units.abx import Item, cut
from slmzoo.evaluation.units.feature_store import blocks
from slmzoo.evaluation.units.textgrid import Phone
from slmzoo.evaluation.units.unit_scores import Scored, cost, discriminability, joined, phonetic
from slmzoo.segments import cut as cut_units
from slmzoo.segments import is_short, segments_of

__all__ = ["Known", "keep", "kept", "scores_at", "spoken", "units_at"]

_SHORTEST = 0.02


@dataclass(frozen=True, kw_only=True)
class Known:
    """Annotations of the recordings; metrics without theirs are skipped."""

    alignments: Mapping[str, Sequence[Phone]]
    items: Sequence[Item]
    """Items for ABX, of existing recordings and at least a frame long."""
    transcripts: Mapping[str, str]


def units_at(
    features: Sequence[Path], quantizers: Mapping[float, Quantizer], point: OperatingPoint, device: str
) -> dict[float, dict[str, Units]]:
    """Quantise all recordings by each of the quantisers, which share a codebook; units by lambda.

    Distances are computed once for all lambdas if the quantiser can share them.
    """
    lmbdas = list(quantizers)
    units: dict[float, dict[str, Units]] = {lmbda: {} for lmbda in lmbdas}
    for block in tqdm(blocks(features), desc=f"units, k = {point.k}", total=len(features), disable=None):
        frames = [x.to(device) for x in block.values()]
        of_all = _swept(quantizers, frames)
        for lmbda, segmented in zip(lmbdas, of_all, strict=True):
            at = replace(point, lmbda=lmbda)
            pairs = zip(block, segmented, strict=True)
            units[lmbda].update({n: Units(u.units.cpu(), u.durations.cpu(), u.frame_rate, at) for n, u in pairs})
    return units


def _swept(quantizers: Mapping[float, Quantizer], frames: list[Tensor]) -> list[list[Units]]:
    first: Any = next(iter(quantizers.values()))
    if hasattr(first, "sweep"):
        return first.sweep(frames, list(quantizers))
    return [quantizer.segment(frames) for quantizer in quantizers.values()]


def scores_at(
    units: Mapping[str, Units], known: Known, hypotheses: Mapping[str, str], bootstrap: Bootstrap, **abx: Any
) -> Scored:
    """Compute the scores of one point, with its k and lambda as their subset and as columns of their rows.

    ABX is across speakers too if there are several. `abx`: options of `abx.cells`.
    """
    point = next(iter(units.values())).operating_point
    scored = [cost(units, bootstrap)]
    if known.alignments:
        scored.append(phonetic({n: u for n, u in units.items() if n in known.alignments}, known.alignments, bootstrap))
    if known.items:
        rate = next(iter(units.values())).frame_rate
        pieces = cut({item.file: units[item.file].framewise() for item in known.items}, known.items, rate)
        task = {"distance": "identical", **abx}
        several = len({item.speaker for item in known.items}) > 1
        scored += [
            discriminability(f"abx_{speaker}", pieces, known.items, bootstrap, speaker=speaker, **task)
            for speaker in (("within", "across") if several else ("within",))
        ]
    if hypotheses:
        scored.append(recognition({name: known.transcripts[name] for name in hypotheses}, hypotheses, bootstrap))
    subset = {name: f"{getattr(point, name):g}" for name in ("k", "lmbda")}
    scores, tables = joined(scored)
    at = "-".join(subset.values())
    rows = {
        metric: [{**row, "item": f"{at}/{row['item']}", **subset} for row in table] for metric, table in tables.items()
    }
    return [replace(score, subset=subset) for score in scores], rows


@torch.no_grad()
def spoken(
    units: Mapping[str, Units], files: Mapping[str, Path], synthesizer: Synthesizer, listen: Recogniser
) -> dict[str, str]:
    """Transcribe greedy resynthesis, by recording; long speech in segments that keep their durations."""
    hypotheses: dict[str, str] = {}
    for name, each in tqdm(units.items(), desc="resynthesis", unit="file", disable=None):
        wav, sr = audio.load(files[name])
        longest = synthesizer.longest_segment
        long = not is_short(wav, sr, longest)
        stretches = [(a / sr, b / sr) for a, b in segments_of(wav, sr, longest)]
        segments = cut_units(each, stretches) if long else [each]
        speech = torch.cat([s.wav.cpu() for s in synthesizer.speak(segments, **_greedy(synthesizer, long))], 1)
        rate = synthesizer.sample_rate
        hypotheses[name] = listen(speech, rate) if speech.shape[1] > _SHORTEST * rate else ""
    return hypotheses


def _greedy(synthesizer: Synthesizer, long: bool) -> dict[str, Any]:
    """Return the options of greedy synthesis that the synthesiser has."""
    lasting = {"keep_durations": True} if long and "keep_durations" in options_of(synthesizer) else {}
    return {**greedy_options(synthesizer), **lasting}


def kept(path: Path, made_of: str) -> Scored | None:
    """Return the scores and rows in the file `path` if its key is `made_of`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        scored = [from_flat(row) for row in content["scores"]], content["tables"]
        return scored if content["made_of"] == made_of else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def keep(path: Path, made_of: str, scored: Scored) -> None:
    """Write scores and rows for a later run, atomically."""
    scores, tables = scored
    content = {"made_of": made_of, "scores": [flat(score) for score in scores], "tables": tables}
    write_atomically(path, json.dumps(content, indent=1) + "\n")
