"""`slmzoo eval text-information`: mutual information of tokens and text, as SLMTokBench measures it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.files.digests import sha256_of
from slmcore.units import Units
from slmzoo.commands.common import DeviceCommand
from slmzoo.commands.evaluate.report import Report
from slmzoo.commands.options.evaluation import TextInformationOptions
from slmzoo.evaluation.recordings import matched
from slmzoo.evaluation.report.findings import Findings
from slmzoo.evaluation.report.results import score_items
from slmzoo.evaluation.speech.speech_scores import transcripts
from slmzoo.evaluation.speech.wer import CONVENTION
from slmzoo.evaluation.units.text_information import Bound, Probe, ProbeConfig, bound, needed, train, undecided
from slmzoo.evaluation.units.textgrid import SILENCE, alignments_in
from slmzoo.evaluation.units.unit_store import described, units_in

__all__ = ["TextInformation"]


@dataclass(frozen=True, kw_only=True)
class TextInformation(TextInformationOptions, DeviceCommand, Report):
    """Mutual information of framewise units and characters or phones: vCLUB by a recogniser trained on units."""

    def run(self) -> int:
        """Train the recogniser, and bound the information."""
        if self.against is not None and self.against < 1:
            raise ValueError(must("against", "a number of texts >= 1", self.against, "Leave it out for all."))
        said, problems = self._said()
        trained, tested = self._units()
        symbols = {name: i for i, name in enumerate(sorted({s for n in trained if n in said for s in said[n]}), 1)}
        chosen, wrong = _usable(tested, said, symbols)
        missing = matched("texts", {**trained, **tested}, said)["missing texts"]
        problems |= {"missing texts": missing, **wrong}
        self.insist("text-information", problems)
        tokens, texts = _sequences(tested, said, chosen, symbols)
        lost = [chosen[i] for i in undecided(tokens, texts, self.against, self.seed)]
        if lost:
            wanted = "enough texts that one of those drawn for each recording has no more symbols than it has tokens"
            raise ValueError(must("against", wanted, self.against, f"Draw more: {', '.join(lost[:5])} has none."))
        kinds = 1 + max(int(u.units.max()) for u in [*trained.values(), *tested.values()])
        probe, kept = self._probe(kinds, trained, said, symbols)
        found = bound(probe, tokens, texts, self.against, self.seed)
        models = {
            "probe": {"file": str(kept.relative_to(self.out)), "sha256": sha256_of(kept)},
            "train": described(self.train),
            "test": described(self.test),
        }
        return self.finish("text-information", replace(self._findings(chosen, found, problems), models=models))

    @property
    def _config(self) -> ProbeConfig:
        width = {"dim": self.hidden, "hidden": self.hidden}
        return ProbeConfig(**width, batch=self.batch, lr=self.lr, steps=self.steps, seed=self.seed)

    def _units(self) -> tuple[dict[str, Units], dict[str, Units]]:
        trained, tested = units_in(self.train), units_in(self.test)
        both = sorted(trained.keys() & tested.keys())
        if both:
            raise ValueError(f"TRAIN and TEST must have no recording in common, but both have {', '.join(both[:5])}.")
        return trained, tested

    def _findings(self, names: Sequence[str], found: Bound, problems: Mapping[str, list[str]]) -> Findings:
        values = list(zip(names, found.information.tolist(), found.symbols.tolist(), strict=True))
        tables = {
            "text_information": [{"item": name, "value": value} for name, value, _ in values],
            "text_information_by_symbol": [{"item": n, "value": v / size, "weight": size} for n, v, size in values],
        }
        units = dict(zip(tables, ("nats/recording", "nats/symbol"), strict=True))
        of_each = (score_items(m, rows, unit=units[m], bootstrap=self.bootstrap) for m, rows in tables.items())
        conventions = {
            **asdict(self._config),
            "text": "phones without silence" if self.alignments else f"characters: {CONVENTION}",
            "tokens": "framewise",
            "against": self.against or len(names),
            "texts_possible": float(found.possible.mean()),
        }
        scores = [score for scores in of_each for score in scores]
        return Findings(scores=scores, tables=tables, conventions=conventions, problems=problems)

    def _said(self) -> tuple[dict[str, Sequence[str]], dict[str, list[str]]]:
        if (self.transcripts is None) == (self.alignments is None):
            raise ValueError("Give --transcripts or --alignments.")
        if self.alignments is not None:
            known, failed = alignments_in(self.alignments, self.tier)
            phones = {name: [p.label for p in some if p.label != SILENCE] for name, some in known.items()}
            return {name: some for name, some in phones.items() if some}, {"unreadable alignments": failed}
        said, problems = transcripts(str(self.transcripts))
        return dict(said), {f"transcripts {kind}": names for kind, names in problems.items()}

    def _probe(
        self, kinds: int, units: Mapping[str, Units], said: Mapping[str, Sequence[str]], symbols: Mapping[str, int]
    ) -> tuple[Probe, Path]:
        """A trained recogniser and its file; what was trained on the same in the same way is taken up again."""
        config = self._config
        tokens, texts = _sequences(units, said, [name for name in units if name in said], symbols)
        material = [[x.tolist(), y.tolist()] for x, y in zip(tokens, texts, strict=True)]
        print_of = hashlib.sha256(json.dumps([kinds, asdict(config), material]).encode()).hexdigest()[:16]
        torch.manual_seed(config.seed)
        probe = Probe(kinds, len(symbols), config).to(self.chosen_device())
        run = self.out / f"probe-{print_of}"
        train(probe, tokens, texts, config, run)
        return probe.eval(), run / "probe.pt"


def _usable(
    units: Mapping[str, Units], said: Mapping[str, Sequence[str]], symbols: Mapping[str, int]
) -> tuple[list[str], dict[str, list[str]]]:
    """The recordings of which the bound can be computed; and, as problems, those of which it cannot."""
    there = [name for name in units if name in said]
    known = [name for name in there if set(said[name]) <= symbols.keys()]
    tokens, texts = _sequences(units, said, known, symbols)
    short = [name for name, x, y in zip(known, tokens, texts, strict=True) if len(x) < needed(y)]
    strange = sorted(set(there) - set(known))
    chosen = [name for name in known if name not in set(short)]
    return chosen, {"symbols not in TRAIN": strange, "fewer tokens than CTC needs": short}


def _sequences(
    units: Mapping[str, Units], said: Mapping[str, Sequence[str]], names: Sequence[str], symbols: Mapping[str, int]
) -> tuple[list[Tensor], list[Tensor]]:
    tokens = [units[name].framewise() for name in names]
    return tokens, [torch.tensor([symbols[s] for s in said[name]]) for name in names]
