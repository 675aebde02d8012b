"""`slmzoo completion`: completion of commands and options in a shell, from the table of commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from slmzoo.arguments import OptionsParser
from slmzoo.commands.options.installation import CompletionOptions
from slmzoo.commands.table import COMMANDS, GROUPS

__all__ = ["Completion", "script"]

_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


@dataclass(frozen=True, kw_only=True)
class Completion(CompletionOptions):
    """Completion script of a shell."""

    def run(self) -> int:
        """Print the script."""
        sys.stdout.write(script(self.shell))
        return 0


def script(shell: str) -> str:
    """Return the completion script of "bash" or "zsh", which runs bash's completion functions.

    Words that no option or command begins with are completed as file names.
    """
    cases = [*_commands(), *(line for words in COMMANDS for line in _options(words))]
    body = "\n".join(f"        {line}" for line in cases)
    function = f"""_slmzoo() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} words=""
    local first=${{COMP_WORDS[1]}} second=${{COMP_WORDS[2]}}
    case "$COMP_CWORD:$first $second $prev" in
{body}
    esac
    COMPREPLY=( $(compgen -W "$words" -- "$cur") )
}}
complete -o default -F _slmzoo slmzoo
"""
    return (_ZSH if shell == "zsh" else "") + function


def _commands() -> Iterator[str]:
    """Yield the cases of the first two words."""
    firsts = sorted({words.split()[0] for words in COMMANDS})
    yield f'"1:"*) words="{" ".join(firsts)}" ;;'
    for group in sorted(GROUPS):
        inside = [words.split()[1] for words in COMMANDS if words.startswith(f"{group} ")]
        yield f'"2:{group} "*) words="{" ".join(inside)}" ;;'


def _options(words: str) -> Iterator[str]:
    """Yield the cases of a command's options, those with choices first."""
    before = f'*":{words} ' if " " in words else f'*":{words} "*" '
    named: list[str] = []
    for action in OptionsParser(COMMANDS[words].options_type(), f"slmzoo {words}").actions():
        named += action.option_strings
        if action.option_strings and action.choices:
            choices = " ".join(map(str, action.choices))
            yield from (f'{before}{option}") words="{choices}" ;;' for option in action.option_strings)
    yield f'*":{words} "*) words="{" ".join(named)}" ;;'
