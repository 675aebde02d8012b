"""Options of `slmzoo doctor` and `completion`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.commands.options.common import ResultsOptions

__all__ = ["CompletionOptions", "DoctorOptions"]


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(ResultsOptions):
    """Report versions, devices, and missing optional packages and programs with the commands that need them.

    A JSON line holds: component, kind (package, program, device or setting), state (present, absent, or the value),
    version, needed_by, remedy.
    """

    examples: ClassVar[tuple[str, ...]] = ("slmzoo doctor", "slmzoo doctor --json")


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Print a completion script for a shell: commands, their options, and the choices of these.

    The line `eval "$(slmzoo completion bash)"` in ~/.bashrc, or with zsh in ~/.zshrc, loads it in every shell.
    """

    title: ClassVar[str] = "shell"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo completion bash", "slmzoo completion zsh")

    shell: Literal["bash", "zsh"] = field(positional=True, choices=["bash", "zsh"])
    """Shell to complete in."""
