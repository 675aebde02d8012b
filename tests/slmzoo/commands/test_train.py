"""Each training has a task, whose settings take the options of its command."""

from __future__ import annotations

import importlib
from dataclasses import fields

import pytest

from slmzoo.commands import train
from slmzoo.commands.table import COMMANDS


@pytest.mark.parametrize("words", [words for words in COMMANDS if words.startswith("train ")])
def test_the_settings_of_a_task_take_the_options_of_its_command(words: str) -> None:
    command = COMMANDS[words]
    module, _, name = command.runs.partition(":")
    task, settings = getattr(train, name).args
    assert (module, task) == ("train", words.removeprefix("train "))
    options = {field.name for field in fields(command.options_type())} - {"json", "jsonl"}
    tasks = importlib.import_module(f"slmzoo.training.tasks.{task}")
    assert {field.name for field in fields(getattr(tasks, settings))} == options
    assert callable(tasks.train)
