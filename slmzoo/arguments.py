"""Command line options from a dataclass: flags, help in groups, examples."""

from __future__ import annotations

import argparse
import inspect
import logging
import shutil
from argparse import Action
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import simple_parsing
from simple_parsing import ArgumentParser, DashVariant

from slmzoo.renamed import RENAMED

__all__ = ["OptionsParser", "flag"]

logger = logging.getLogger(__name__)
_METAVARS = {int: "N", float: "X", str: "NAME", Path: "PATH"}
_POSITIONAL = {None: "{0}", "?": "[{0}]", "+": "{0} [{0} ...]", "*": "[{0} ...]"}
_WIDEST = 100


def flag(default: bool | None = False) -> Any:
    """Dataclass field of type bool, set by `--name` and cleared by `--no-name`; None if neither was given."""
    return simple_parsing.field(default=default, action=_Flag)


class _Flag(Action):
    def __init__(
        self, option_strings: Sequence[str], dest: str, default: bool | None, help: str = "", **_: Any
    ) -> None:
        names = [*option_strings, *(f"--no-{name[2:]}" for name in option_strings if name.startswith("--"))]
        super().__init__(names, dest, nargs=0, default=default, help=help)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, not (option_string or "").startswith("--no-"))


class OptionsParser(ArgumentParser):
    """Parser of the options of one dataclass, returned as `.options` beside `.verbose` and `.quiet`.

    In the help a field is listed in the group of the class that first declares it (its `title`); the `examples` of the
    dataclass come last.
    """

    def __init__(self, options: type, prog: str) -> None:
        super().__init__(prog=prog, add_option_string_dash_variants=DashVariant.DASH, allow_abbrev=False)
        self._of = options
        loudness = self.add_mutually_exclusive_group()
        loudness.add_argument("-v", "--verbose", action="store_true", help="Log each step to standard error.")
        loudness.add_argument("-q", "--quiet", action="store_true", help="Show errors only.")
        self.add_arguments(options, dest="options")

    def parse_known_args(self, args: Any = None, namespace: Any = None, attempt_to_reorder: bool = False) -> Any:
        """Parse as argparse does, also flags as written in version 0.1."""
        hints = get_type_hints(self._of)
        flags = {name.replace("_", "-") for name, hint in hints.items() if hint is bool}
        words = _modern(_renamed(args or [], hints.keys()), flags)
        return super().parse_known_args(words, namespace, attempt_to_reorder)

    def actions(self) -> list[Action]:
        """Return the options, which are added when they are first needed."""
        self._preprocessing()
        return self._actions

    def format_usage(self) -> str:
        """Return the usage as one line: the command and its required options."""
        needed = [f"{a.option_strings[-1]} {a.metavar}" for a in self._actions if a.required and a.option_strings]
        named = [_POSITIONAL[a.nargs].format(a.metavar) for a in self._actions if not a.option_strings]
        return f"usage: {' '.join([self.prog, *needed, *named, '[options]'])}\n"

    def format_help(self) -> str:
        """Return usage, description, the options by group, and examples."""
        width = min(_WIDEST, shutil.get_terminal_size().columns - 2)
        page = _Formatter(self.prog, max_help_position=26, width=width)
        for paragraph in inspect.cleandoc(self._of.__doc__ or "").split("\n\n"):
            page.add_text(paragraph)
        for title, actions in self._groups().items():
            page.start_section(title)
            page.add_arguments(actions)
            page.end_section()
        examples = "".join(f"  {line}\n" for line in getattr(self._of, "examples", ()))
        return f"{self.format_usage()}\n{page.format_help()}" + (f"\nexamples:\n{examples}" if examples else "")

    def _groups(self) -> dict[str, list[Action]]:
        """Return the options by group title: inputs, the command's own, those of several commands, and of all."""
        found: dict[str, list[Action]] = {}
        for action in self._actions:
            found.setdefault(_title(self._of, _name(action)), []).append(action)
        order = [getattr(cls, "title", "") for cls in self._of.__mro__]
        inputs = {title for title, actions in found.items() if any(not a.option_strings for a in actions)}
        ranks = {title: (title not in inputs, order.index(title) if title in order else len(order)) for title in found}
        return dict(sorted(found.items(), key=lambda group: ranks[group[0]]))

    def _preprocessing(self, *args: Any, **more: Any) -> None:
        super()._preprocessing(*args, **more)
        hints = get_type_hints(self._of)
        for action in self._actions:
            if _name(action) in hints and not isinstance(action, _Flag):
                if not str(action.metavar).isupper() and "." not in str(action.metavar):
                    action.metavar = _metavar(hints[_name(action)], action.choices)
                if action.option_strings and action.nargs == "?":
                    action.nargs = None  # an option lacks its value


class _Formatter(argparse.HelpFormatter):
    def _format_action_invocation(self, action: Action) -> str:
        if isinstance(action, _Flag) or not action.option_strings or action.nargs == 0:
            return ("/" if isinstance(action, _Flag) else ", ").join(action.option_strings) or str(action.metavar)
        values = f"{action.metavar} ..." if action.nargs in ("*", "+") else str(action.metavar)
        values = " ".join([str(action.metavar)] * action.nargs) if isinstance(action.nargs, int) else values
        return f"{', '.join(action.option_strings)} {values}"

    def _get_help_string(self, action: Action) -> str:
        text = " ".join((action.help or "").split()).replace("%", "%%")
        text = text[:1].upper() + text[1:]
        default = action.default
        if default is None or isinstance(default, bool) or default in ([], (), argparse.SUPPRESS, ""):
            return text
        shown = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)
        return f"{text.rstrip('.')} (default: {shown})"


def _name(action: Action) -> str:
    """Return the field's name of an action."""
    return action.dest.rpartition(".")[2]


def _title(options: type, name: str) -> str:
    """Return the title of the class that first declares a field; "general" for the options of every command."""
    first = [cls for cls in options.__mro__ if name in inspect.get_annotations(cls)]
    return first[-1].title if first else "general"


def _metavar(hint: Any, choices: Any) -> str:
    if choices:
        return f"{{{','.join(map(str, choices))}}}"
    kinds = [kind for kind in (hint, *get_args(hint)) if kind in _METAVARS]
    return _METAVARS[kinds[0]] if kinds else "VALUE"


def _renamed(args: Sequence[str], names: Collection[str]) -> list[str]:
    """Replace former names of options by those in `names`, and log a note."""
    found: list[str] = []
    for word in args:
        option, equals, value = word.partition("=")
        prefix = next((prefix for prefix in ("--no-", "--no", "--") if _former(option, prefix, names)), "")
        if prefix:
            former = option.removeprefix(prefix)
            option = f"{'--no-' if prefix != '--' else '--'}{_dashed(RENAMED[former.replace('-', '_')])}"
            logger.warning("--%s is now %s; the former name is accepted until the next version.", former, option)
        found.append(f"{option}{equals}{value}")
    return found


def _former(option: str, prefix: str, names: Collection[str]) -> bool:
    former = option.removeprefix(prefix).replace("-", "_")
    return option.startswith(prefix) and former not in names and RENAMED.get(former) in names


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _modern(args: Sequence[str], flags: Collection[str]) -> list[str]:
    """Translate flags of version 0.1 (`--half false`, `--nohalf`) and of YAML files to the present form."""
    found: list[str] = []
    for word in args:
        if found and found[-1][2:] in flags and word.lower() in ("true", "false"):
            found[-1] = found[-1] if word.lower() == "true" else f"--no-{found[-1][2:]}"
        else:
            found.append(f"--no-{word[4:]}" if word.startswith("--no") and word[4:] in flags else word)
    return found
