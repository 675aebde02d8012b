"""Table of all commands, in the order of the help: options, implementation, and a summary line of each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import Any, Protocol

__all__ = ["COMMANDS", "GROUPS", "Command", "Runnable"]


class Runnable(Protocol):
    """Command with its options."""

    def run(self) -> int:
        """Run the command; return the exit status."""
        ...


@dataclass(frozen=True)
class Command:
    """Lazy reference to a command: help imports only its options, the rest is imported to run it."""

    heading: str
    summary: str
    options: str
    """module:class below slmzoo.commands.options."""
    runs: str
    """module:callable below slmzoo.commands; takes the fields of the options by keyword."""

    def options_type(self) -> type:
        """Import the dataclass of its options, which imports nothing heavy."""
        return _found("slmzoo.commands.options", self.options)

    def made(self, options: Any) -> Runnable:
        """Import the command itself, with torch and all it needs."""
        given = {field.name: getattr(options, field.name) for field in fields(options)}
        return _found("slmzoo.commands", self.runs)(**given)


def _found(package: str, place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"{package}.{module}"), name)


_SPEECH, _MODELS, _TRAINING, _INSTALLATION = "speech", "models and files", "training", "installation"
_BENCHMARKS, _SCORES, _RESULTS = "evaluation: benchmarks", "evaluation: units and speech", "evaluation: results"

COMMANDS = {
    "units": Command(_SPEECH, "encode speech as discrete units", "speech:UnitsOptions", "corpus.units:UnitsOf"),
    "score": Command(_SPEECH, "log-likelihood of speech", "speech:ScoreOptions", "speech.score:Score"),
    "resynth": Command(
        _SPEECH, "resynthesise speech from its units", "speech:ResynthOptions", "speech.resynth:Resynth"
    ),
    "continue": Command(
        _SPEECH, "continue speech from a prompt", "speech:ContinueOptions", "speech.continuation:Continue"
    ),
    "convert-voice": Command(
        _SPEECH,
        "speak with the voice of another recording",
        "speech:ConvertVoiceOptions",
        "speech.convert_voice:ConvertVoice",
    ),
    "speak": Command(_SPEECH, "speak text in the voice of a recording", "speech:SpeakOptions", "speech.speak:Speak"),
    "stream": Command(
        _SPEECH, "encode speech as units while it is spoken", "streaming:StreamOptions", "speech.stream:Stream"
    ),
    "web": Command(_SPEECH, "a page to speak, see and hear units", "web:WebOptions", "speech.web:Web"),
    "list": Command(_MODELS, "all models, and which are on this machine", "models:ListOptions", "files.listing:List"),
    "info": Command(_MODELS, "a model in detail", "models:InfoOptions", "files.info:Info"),
    "cite": Command(_MODELS, "papers of models, as BibTeX", "models:CiteOptions", "files.cite:Cite"),
    "fetch": Command(_MODELS, "download the models of an operating point", "models:FetchOptions", "files.fetch:Fetch"),
    "verify": Command(_MODELS, "check the files on this machine", "models:VerifyOptions", "files.verify:Verify"),
    "convert": Command(
        _MODELS, "published checkpoint to safetensors", "models:ConvertOptions", "files.convert:Convert"
    ),
    "convert-units": Command(
        _MODELS, "convert units between toolkits", "models:ConvertUnitsOptions", "corpus.convert_units:ConvertUnits"
    ),
    "train encoder": Command(_TRAINING, "train a speech encoder", "train:TrainEncoderOptions", "train:train_encoder"),
    "train codebook": Command(
        _TRAINING, "cluster the features of an encoder", "train:TrainCodebookOptions", "train:train_codebook"
    ),
    "train ulm": Command(_TRAINING, "train a unit language model", "train:TrainUlmOptions", "train:train_ulm"),
    "train codec": Command(_TRAINING, "train a speech codec", "train:TrainCodecOptions", "train:train_codec"),
    "train soundstream": Command(
        _TRAINING,
        "train a codec with residual codebooks",
        "train:TrainSoundStreamOptions",
        "train:train_soundstream",
    ),
    "train speechtokenizer": Command(
        _TRAINING,
        "train a codec whose first level holds content",
        "train:TrainSpeechTokenizerOptions",
        "train:train_speechtokenizer",
    ),
    "train ellav": Command(_TRAINING, "train an acoustic model", "train:TrainEllavOptions", "train:train_ellav"),
    "train vocoder": Command(_TRAINING, "train a unit vocoder", "train:TrainVocoderOptions", "train:train_vocoder"),
    "train uslm": Command(_TRAINING, "train text to speech over a codec", "train:TrainUslmOptions", "train:train_uslm"),
    "eval mini": Command(
        _BENCHMARKS, "the whole suite on a small synthetic benchmark", "suites:MiniOptions", "evaluate.mini:RunMini"
    ),
    "eval swuggy": Command(_BENCHMARKS, "words against non-words", "pairs:SwuggyOptions", "evaluate.swuggy:Swuggy"),
    "eval sblimp": Command(
        _BENCHMARKS, "grammatical against ungrammatical sentences", "pairs:SblimpOptions", "evaluate.sblimp:Sblimp"
    ),
    "eval storycloze": Command(
        _BENCHMARKS, "right against wrong story endings", "pairs:StoryClozeOptions", "evaluate.storycloze:StoryCloze"
    ),
    "eval salmon": Command(
        _BENCHMARKS, "consistent against inconsistent acoustics", "pairs:SalmonOptions", "evaluate.salmon:Salmon"
    ),
    "eval pairs": Command(_BENCHMARKS, "any pairs of recordings", "pairs:PairsOptions", "evaluate.pairs:Pairs"),
    "eval units": Command(
        _SCORES, "bit rate and phone information of units", "unit_scores:UnitScoresOptions", "evaluate.units:UnitScores"
    ),
    "eval abx": Command(_SCORES, "ABX phone discriminability", "unit_scores:AbxOptions", "evaluate.abx:Abx"),
    "eval text-information": Command(
        _SCORES,
        "mutual information of tokens and text",
        "unit_scores:TextInformationOptions",
        "evaluate.text_information:TextInformation",
    ),
    "eval slmtokbench": Command(
        _SCORES,
        "text and information that tokens keep",
        "slmtokbench:SlmTokBenchOptions",
        "evaluate.slmtokbench:SlmTokBench",
    ),
    "eval sweep": Command(_SCORES, "units at many operating points", "suites:SweepOptions", "evaluate.sweep:Sweep"),
    "eval speech": Command(
        _SCORES,
        "intelligibility and speaker similarity of speech",
        "speech_scores:SpeechScoresOptions",
        "evaluate.speech:SpeechScores",
    ),
    "eval generation": Command(
        _SCORES,
        "perplexity and VERT of generated speech",
        "speech_scores:GenerationOptions",
        "evaluate.generation:Generation",
    ),
    "eval figures": Command(_RESULTS, "pictures of results", "report:FiguresOptions", "evaluate.figures:Figures"),
    "eval compare": Command(
        _RESULTS, "two results on the same items", "report:CompareOptions", "evaluate.compare:Compare"
    ),
    "doctor": Command(
        _INSTALLATION,
        "versions, devices, and what is missing",
        "installation:DoctorOptions",
        "installation.doctor:Doctor",
    ),
    "completion": Command(
        _INSTALLATION,
        "completion in bash or zsh",
        "installation:CompletionOptions",
        "installation.completion:Completion",
    ),
}
GROUPS = {"train": "Train models of your own.", "eval": "Compute scores that a paper can cite."}
"""First words of the commands of two words."""
