"""`slmzoo`: the zoo on a command line. Exit status: 0 all well, 1 some inputs failed, 2 wrong usage."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

from simple_parsing import ArgumentParser, DashVariant

from slmzoo import __version__
from slmzoo.invocation import running

__all__ = ["main"]

# Where each command lives: only the one that is asked for is imported, and with it what it needs.
COMMANDS = {
    "units": ("slmzoo.commands.units", "UnitsOf", "speech to discrete units"),
    "score": ("slmzoo.commands.speech", "Score", "log-likelihood of speech"),
    "resynth": ("slmzoo.commands.speech", "Resynth", "speech to units and back to speech"),
    "continue": ("slmzoo.commands.speech", "Continue", "speech that goes on from a prompt"),
    "list": ("slmzoo.commands.models", "List", "all models, and which are here"),
    "fetch": ("slmzoo.commands.models", "Fetch", "download the models of an operating point"),
    "verify": ("slmzoo.commands.models", "Verify", "check the files that are here"),
    "convert": ("slmzoo.commands.models", "Convert", "published checkpoint to safetensors"),
    "convert-units": ("slmzoo.commands.convert_units", "ConvertUnits", "unit files of one toolkit to those of another"),
    "eval swuggy": ("slmzoo.commands.evaluate_pairs", "Swuggy", "words against non-words"),
    "eval sblimp": ("slmzoo.commands.evaluate_pairs", "Sblimp", "grammatical against ungrammatical sentences"),
    "eval storycloze": ("slmzoo.commands.evaluate_pairs", "StoryCloze", "right against wrong ends of stories"),
    "eval salmon": ("slmzoo.commands.evaluate_pairs", "Salmon", "consistent against inconsistent acoustics"),
    "eval pairs": ("slmzoo.commands.evaluate_pairs", "Pairs", "any pairs of recordings"),
    "eval generation": ("slmzoo.commands.evaluate_generation", "Generation", "perplexity and VERT of generated speech"),
    "eval units": ("slmzoo.commands.evaluate_units", "UnitScores", "what units cost, and what they say of phones"),
    "eval abx": ("slmzoo.commands.evaluate_units", "Abx", "how well phones are told apart"),
    "eval text-information": ("slmzoo.commands.evaluate_text", "TextInformation", "what tokens tell of the text said"),
    "eval sweep": ("slmzoo.commands.evaluate_sweep", "Sweep", "units at many operating points"),
    "eval speech": ("slmzoo.commands.evaluate_speech", "SpeechScores", "how well speech is understood, and its voice"),
    "eval mini": ("slmzoo.commands.evaluate_mini", "RunMini", "the whole suite on a small benchmark made on the spot"),
    "eval figures": ("slmzoo.commands.evaluate_figures", "Figures", "pictures of results"),
    "eval compare": ("slmzoo.commands.evaluate", "Compare", "two results on the same items"),
    "train ulm": ("slmzoo.commands.train_language", "TrainUlm", "a language model over units"),
    "train ellav": ("slmzoo.commands.train_language", "TrainEllav", "an acoustic model, from units to codec tokens"),
    "train encoder": ("slmzoo.commands.train_speech", "TrainEncoder", "a speech encoder"),
    "train codebook": ("slmzoo.commands.train_speech", "TrainCodebook", "codes for the features of an encoder"),
    "train codec": ("slmzoo.commands.train_speech", "TrainCodec", "a speech codec"),
}
# Commands of two words: `slmzoo train ulm`.
GROUPS: dict[str, str] = {
    "eval": "scores that a paper can cite",
    "train": "models of your own",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="slmzoo: %(message)s", level=logging.WARNING)
    try:
        arguments = _with_file(arguments)
        with running(arguments):
            return _parser(arguments).parse_args(arguments).command.run()
    except KeyboardInterrupt:
        print("slmzoo: stopped.", file=sys.stderr)
        return 130
    except (ValueError, TypeError) as error:
        print(f"slmzoo: {error}", file=sys.stderr)
        return 2
    except (OSError, MemoryError, ImportError, FloatingPointError) as error:
        print(f"slmzoo: {error}", file=sys.stderr)
        return 1


def _with_file(arguments: list[str]) -> list[str]:
    """The arguments with those of a YAML file, which training takes."""
    if arguments[:1] != ["train"]:
        return arguments
    from slmzoo.training.loop.settings import arguments_of_yaml

    return arguments_of_yaml(arguments)


def _parser(arguments: list[str]) -> ArgumentParser:
    parser = ArgumentParser(prog="slmzoo", description="The spoken-language-model zoo.")
    parser.add_argument("--version", action="version", version=f"slmzoo {__version__}")
    places = {"": parser.add_subparsers(title="commands", required=True, metavar="COMMAND")}
    for group, summary in GROUPS.items():
        of_group = places[""].add_parser(group, help=summary, description=summary)
        places[group] = of_group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for words, (module, cls, summary) in COMMANDS.items():
        group, _, name = words.rpartition(" ")
        variant = DashVariant.DASH
        more = {"add_option_string_dash_variants": variant, "allow_abbrev": False}
        sub = places[group].add_parser(name, help=summary, description=summary, **more)
        if words.split() == arguments[: len(words.split())]:
            sub.add_arguments(getattr(importlib.import_module(module), cls), dest="command")
    return parser
