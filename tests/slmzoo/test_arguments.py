"""Options of commands: help at once, in groups, with examples that are right; flags as people write them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from slmzoo.arguments import OptionsParser, flag
from slmzoo.cli import main, parsed
from slmzoo.commands.table import COMMANDS, GROUPS
from slmzoo.evaluation.speech.speech_scores import MEASURES
from slmzoo.renamed import RENAMED

ROOT = Path(__file__).parents[2]


def helped(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


def test_help_of_every_command_imports_nothing_heavy():
    code = f"""
import sys
from slmzoo.cli import main
for words in {[words.split() for words in COMMANDS]} + [[], ["eval"], ["train"]]:
    try:
        main([*words, "--help"])
    except SystemExit as stopped:
        assert stopped.code == 0, words
    heavy = {{"torch", "torchaudio", "numpy", "matplotlib", "pyarrow", "soundfile"}} & sys.modules.keys()
    assert not heavy, (words, heavy)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_is_explained_and_every_example_is_right(capsys, words):
    shown = helped(capsys, *words.split())
    options = COMMANDS[words].options_type()
    _, _, examples = shown.partition("\nexamples:\n")
    lines = [line.strip() for line in examples.splitlines()]
    assert lines == list(options.examples)
    assert lines
    for line in lines:
        program, *rest = shlex.split(line.rpartition("| ")[2])  # a pipe may feed the command
        assert (program, " ".join(rest[: len(words.split())])) == ("slmzoo", words)
        parsed(words, rest[len(words.split()) :])
    assert "[int]" not in shown
    assert "bool" not in shown
    assert "default: None" not in shown
    for field in fields(options):
        name = field.name.replace("_", "-")
        assert f"--{name}" in shown or field.metadata.get("positional"), name


def test_the_commands_are_listed_in_their_order(capsys):
    shown = helped(capsys)
    places = [shown.index(f"\n  {words} ") for words in COMMANDS]
    assert places == sorted(places)
    for group in GROUPS:
        of_group = helped(capsys, group)
        assert all((f"\n  {words} " in of_group) == words.startswith(f"{group} ") for words in COMMANDS)


@pytest.mark.parametrize("arguments", [["fly"], ["eval", "fly"], ["eval"], []])
def test_no_such_command(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options.

    A second paragraph of 100 %.
    """

    title: ClassVar[str] = "these"
    examples: ClassVar[tuple[str, ...]] = ("x",)

    count: int | None = None
    """A number."""
    share: float = 0.5
    """A share of 1 %."""
    pair: tuple[float, float] = (0.9, 0.99)
    """Two numbers."""
    kind: Literal["a", "b"] = "a"
    """A kind."""
    half: bool = flag()
    """A flag."""
    whole_word: bool = flag(True)
    """Another one."""


@pytest.mark.parametrize(
    ("given", "half", "whole"),
    [
        ("", False, True),
        ("--half", True, True),
        ("--half --no-half", False, True),
        ("--no-whole-word", False, False),
        ("--half true --whole-word False", True, False),
        ("--nohalf --nowhole-word", False, False),
    ],
)
def test_flags_are_set_and_cleared_as_now_and_as_before(given, half, whole):
    found = OptionsParser(Options, "x").parse_args(given.split()).options
    assert (found.half, found.whole_word) == (half, whole)


def test_a_flag_takes_no_value_from_what_follows():
    assert parsed("eval units", ["--shards", "here"]).options.data == Path("here")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("--count", "expected one argument"),
        ("--count x", "invalid int value: 'x'"),
        ("--pair 1", "expected 2 arguments"),
        ("--kind c", "invalid choice"),
        ("--hal", "unrecognized arguments"),
        ("-v -q", "not allowed with"),
    ],
)
def test_wrong_values_are_named(capsys, given, reason):
    with pytest.raises(SystemExit) as stopped:
        OptionsParser(Options, "x").parse_args(given.split())
    assert stopped.value.code == 2
    assert reason in capsys.readouterr().err


def test_types_and_defaults_are_shown_as_people_know_them():
    parser = OptionsParser(Options, "x")
    parser.parse_args([])
    shown = " ".join(parser.format_help().split())
    assert "these: --count N A number. --share X A share of 1 % (default: 0.5)" in shown
    assert "--pair X X Two numbers (default: 0.9 0.99)" in shown
    assert "--kind {a,b} A kind (default: a)" in shown
    assert "--half/--no-half A flag." in shown
    assert "A second paragraph of 100 %." in shown


def test_only_options_that_a_command_can_use():
    names = {words: {field.name for field in fields(command.options_type())} for words, command in COMMANDS.items()}
    assert not names["eval speech"] & {"zoo", "k", "lmbda", "dtype", "weights", "seed"}
    assert not names["eval text-information"] & {"zoo", "k", "lmbda", "dtype", "weights"}
    assert not names["units"] & {"weights", "seed"}
    assert all(
        "json" in of and "jsonl" in of for words, of in names.items() if words not in ("cite", "completion", "web")
    )


def test_what_eval_speech_offers_is_what_it_measures():
    metrics = next(f for f in fields(COMMANDS["eval speech"].options_type()) if f.name == "metrics")
    assert metrics.metadata["custom_args"]["choices"] == ["wer", *MEASURES]


REQUIRED = {
    "train ellav": "--train a --validation b --train-speech c --validation-speech d --run r",
    "train ulm": "--train a --validation b --run r",
    "train codec": "--audio a --validation b --run r",
    "train codebook": "--audio a --run r",
    "train encoder": "--audio a --run r",
}


@pytest.mark.parametrize(
    ("command", "given", "name", "value"),
    [
        ("train ellav", "--own 0.3", "scheduled_sampling", 0.3),
        ("train ellav", "--own=0.25", "scheduled_sampling", 0.25),
        ("train ulm", "--half", "save_half", True),
        ("train ulm", "--save-half --no-half", "save_half", False),
        ("train ulm", "--half true --nohalf", "save_half", False),
        ("train codec", "--judge-from 7", "discriminator_from", 7),
        ("train codec", "--matching 2", "feature_matching", 2.0),
        ("train codebook", "--voice-directions 12", "speaker_directions", 12),
        ("train encoder", "--unmasked 0.5", "unmasked_weight", 0.5),
        ("continue", "--alone", "drop_prompt", True),
    ],
)
def test_former_names_of_options_are_accepted_with_a_note(caplog, command, given, name, value):
    def options(words: str) -> Any:
        return parsed(command, [*REQUIRED.get(command, "").split(), *words.split()]).options

    assert getattr(options(given), name) == value
    assert f"{name.replace('_', '-')}; the former name" in caplog.text
    caplog.clear()
    option = f"--{name.replace('_', '-')}"
    options(option if isinstance(value, bool) else f"{option} {value}")
    assert not caplog.text


def test_a_former_name_that_a_command_still_has_is_its_own(caplog):
    found = OptionsParser(Options, "x").parse_args(["--half", "--share", "0.25"]).options
    assert (found.half, found.share, caplog.text) == (True, 0.25, "")


def test_every_former_name_leads_to_an_option():
    known = {field.name for command in COMMANDS.values() for field in fields(command.options_type())}
    assert set(RENAMED.values()) <= known
    assert not set(RENAMED) & known
