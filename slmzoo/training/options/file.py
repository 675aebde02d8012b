"""Options of training in a YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from slmcore.errors import must

__all__ = ["arguments_of_yaml", "options_of_yaml"]


def arguments_of_yaml(arguments: Sequence[str]) -> list[str]:
    """Return command line arguments with the options of the YAML file of `--config` before all others.

    Later ones take precedence; unknown ones are refused, in a file as on the command line.
    """
    found = list(arguments)
    words = next((i for i, argument in enumerate(found) if argument.startswith("-")), len(found))
    for place, argument in enumerate(found):
        if argument.startswith("--config="):
            return [*found[:words], *options_of_yaml(Path(argument.partition("=")[2])), *found[words:]]
        if argument == "--config" and place + 1 < len(found):
            return [*found[:words], *options_of_yaml(Path(found[place + 1])), *found[words:]]
    return found


def options_of_yaml(path: Path) -> list[str]:
    """Return a YAML mapping as command line options; null leaves an option out. A ValueError for other content."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ValueError(must("config", "a YAML file of `option: value` lines", str(path)))
    options: list[str] = []
    for name, value in content.items():
        if isinstance(value, dict):
            raise ValueError(must(name, "a value or a list", value, f"It is in {path}."))
        if value is not None:
            values = value if isinstance(value, list) else [value]
            options += [f"--{name.replace('_', '-')}", *map(str, values)]
    return options
