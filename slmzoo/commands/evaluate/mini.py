"""`slmzoo eval mini`: the whole suite on a small synthetic benchmark, offline, in minutes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from tqdm import tqdm

from slmcore import audio
from slmcore.files.digests import write_atomically
from slmcore.roles import greedy_options
from slmzoo import invocation
from slmzoo.commands.common import SynthesisCommand
from slmzoo.commands.evaluate.abx import Abx
from slmzoo.commands.evaluate.generation import Generation
from slmzoo.commands.evaluate.pairs import Pairs
from slmzoo.commands.evaluate.report import Evaluation, Report
from slmzoo.commands.evaluate.speech import SpeechScores
from slmzoo.commands.evaluate.units import UnitScores
from slmzoo.commands.options.suites import MiniOptions
from slmzoo.evaluation.optional import need
from slmzoo.evaluation.report.provenance import identity
from slmzoo.evaluation.report.results import Findings, from_flat, items_of, read, table
from slmzoo.evaluation.speech.speech_scores import require
from slmzoo.evaluation.units.unit_store import units_of
from slmzoo.recipes.mini import benchmark as mini
from slmzoo.recipes.speech.sentences import sentences

__all__ = ["RunMini"]

Part = TypeVar("Part", bound=Report)

_PARTS = (
    "lexical",
    "syntactic",
    "same",
    "units",
    "abx-features",
    "abx-units",
    "originals",
    "resynthesis",
    "generation",
)
_TEXT_SENTENCES = 5000


@dataclass(frozen=True, kw_only=True)
class RunMini(MiniOptions, SynthesisCommand, Evaluation):
    """Whole suite on speech by flite; mini.json has all scores."""

    def run(self) -> int:
        """Check the packages, synthesise the speech, run all parts, and join their scores."""
        require(["wer", "f0"], SpeechScores.asr)
        need("pyarrow", "The units of the benchmark", "pip install 'slmzoo[corpus]'")
        made = mini.make(self.out / "data", self.most)
        self._part(Pairs, "lexical", data=made.lexical, by=["in_vocabulary"]).run()
        self._part(Pairs, "syntactic", data=made.syntactic, by=["kind"]).run()
        self._same(made)
        alignments = made.sentences
        self._part(UnitScores, "units", data=made.sentences, alignments=alignments).run()
        for on in ("features", "units"):
            self._part(Abx, f"abx-{on}", data=made.sentences, item=made.phones, on=on, context="any").run()
        self._resynthesis(made)
        text = self.out / "data" / "text.txt"
        write_atomically(text, "".join(f"{_plain(s)}\n" for s in sentences("train", _TEXT_SENTENCES)))
        prompts = [str(path) for path in sorted(made.sentences.glob(f"everyday-*-{mini.VOICES[0]}.wav"))]
        self._part(
            Generation,
            "generation",
            inputs=prompts,
            text_model=f"ngram:{text}",
            temperatures=list(self.temperatures),
            prompt_seconds=1.0,
            max_new_units=40,
        ).run()
        return self._together()

    def _part(self, kind: type[Part], name: str, **given: Any) -> Part:
        """Return another evaluation with the options of this one, in a folder of its own."""
        own = {"json", "jsonl", "out", "most"}
        names = {f.name for f in fields(kind)} & {f.name for f in fields(MiniOptions)} - own
        shared = {name: getattr(self, name) for name in names - given.keys()}
        return kind(**shared, out=self.out / name, shown=False, **given)

    def _same(self, made: mini.Mini) -> None:
        """Compare the same sentence in two voices with other sentences."""
        files = {path.stem: path for path in sorted(made.sentences.glob("*.wav"))}
        pipeline = self.pipeline("quantizer", with_ulm=False, with_speech=False)
        models = self.models(pipeline.sources)
        part = self._part(Evaluation, "same")
        units, failed = units_of(pipeline, files, part.out / "units", identity(pipeline, models))
        found = mini.evaluate_same_sentence(units, self.bootstrap)
        part.finish("same", replace(found, models=models, problems={"unreadable": list(failed)}))

    def _resynthesis(self, made: mini.Mini) -> None:
        """Evaluate originals and greedy resynthesis of the everyday sentences."""
        names = [line.split("\t")[0] for line in made.transcripts.read_text(encoding="utf-8").splitlines()]
        originals, spoken = self.out / "data" / "originals", self.out / "resynthesis" / "wavs"
        for folder in (originals, spoken):
            folder.mkdir(parents=True, exist_ok=True)
        pipeline = self.pipeline("quantizer", "synthesizer", with_ulm=False)
        greedy = greedy_options(pipeline.synthesizer)
        for name in tqdm(names, desc="resynthesis", disable=None):
            wav, rate = audio.load(made.sentences / f"{name}.wav")
            if not (originals / f"{name}.wav").exists():
                audio.write(originals / f"{name}.wav", wav, rate)
            if not (spoken / f"{name}.wav").exists():
                speech = pipeline.resynthesize(wav, rate, seed=self.seed, **greedy)[0]
                audio.write(spoken / f"{name}.wav", speech.wav, speech.sample_rate)
        self._part(SpeechScores, "originals", data=originals, transcripts=made.transcripts).run()
        metrics = ["wer", "f0"]
        given = {"data": spoken, "transcripts": made.transcripts, "originals": originals, "metrics": metrics}
        self._part(SpeechScores, "resynthesis", **given).run()

    def _together(self) -> int:
        """Join all scores and their items in one result."""
        files = {name: path for name in _PARTS for path in (self.out / name).glob("*.json")}
        parts = {name: read(path) for name, path in files.items()}
        tables = {
            f"{n}.{metric}": items_of(files[n], metric) for n, content in parts.items() for metric in content["csv"]
        }
        named = ({**row, "metric": f"{name}.{row['metric']}"} for name, of in parts.items() for row in of["scores"])
        models = {kind: model for content in parts.values() for kind, model in content["models"].items()}
        point = {name: parts["units"]["conventions"][name] for name in ("zoo", "k", "lmbda", "num_neighbors")}
        conventions = {**point, **{name: content["conventions"] for name, content in parts.items()}}
        scores = [from_flat(row) for row in named]
        found = Findings(scores=scores, tables=tables, conventions=conventions, models=models)
        path = found.result("mini", self.bootstrap, invocation.command()).save(self.out)
        content = read(path)
        self.tell(content["scores"], table(content) + f"{path}\n")
        return 0


def _plain(sentence: str) -> str:
    return sentence.lower().translate(str.maketrans("", "", ".,?!'"))
