"""`slmzoo`: the zoo on a command line.

Exit status: 0 success, 1 some inputs failed, 2 wrong usage, 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from slmcore import cores
from slmzoo import __version__
from slmzoo.arguments import OptionsParser
from slmzoo.commands.table import COMMANDS, GROUPS
from slmzoo.invocation import running

__all__ = ["main", "parsed"]

_ABOUT = "The spoken-language-model zoo. Add --help to a command for its options and examples."
_PACKAGES = ("slmcore", "slmzoo")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="slmzoo: %(message)s", level=logging.WARNING)
    try:
        words = _command(arguments)
        chosen = parsed(words, arguments[len(words.split()) :])
        with running(arguments), _logging(chosen.verbose, chosen.quiet), _within_quota():
            status = COMMANDS[words].made(chosen.options).run()
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        print("slmzoo: stopped.", file=sys.stderr)
        return 130
    except (ValueError, TypeError) as error:
        print(f"slmzoo: {error}", file=sys.stderr)
        return 2
    except (OSError, MemoryError, ImportError, FloatingPointError) as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return 141
        print(f"slmzoo: {error}", file=sys.stderr)
        return 1


def _reader_is_gone() -> bool:
    """Whether standard output is a pipe whose other end is closed, as by `| head`; nothing is written to it again."""
    if not hasattr(select, "poll"):  # Windows
        return False
    there = select.poll()
    there.register(1, 0)
    gone = any(event & select.POLLERR for _, event in there.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return gone


def parsed(words: str, arguments: Sequence[str]) -> Any:
    """Parse the arguments of a command such as "train ulm" to `.options`, `.verbose` and `.quiet`."""
    if words.startswith("train "):
        from slmzoo.training.options.file import arguments_of_yaml

        arguments = arguments_of_yaml(arguments)
    return OptionsParser(COMMANDS[words].options_type(), f"slmzoo {words}").parse_args(arguments)


def _command(arguments: Sequence[str]) -> str:
    """Return the command named by the first arguments; without one, show the commands and exit."""
    named = [words for words in (" ".join(arguments[:2]), *arguments[:1]) if words in COMMANDS]
    if not named:
        group = arguments[0] if arguments and arguments[0] in GROUPS else ""
        parser = _overview(group)
        unknown = parser.parse_args(arguments[1:] if group else arguments).command
        parser.error(f"argument COMMAND: invalid choice: {unknown!r}. See {parser.prog} --help.")
    return named[0]


def _overview(group: str) -> argparse.ArgumentParser:
    """Parser for calls without a command: the commands of one group or all, under their headings."""
    shown = {words: command for words, command in COMMANDS.items() if words.startswith(group)}
    lines: list[str] = []
    heading = ""
    for words, command in shown.items():
        if command.heading != heading:
            heading = command.heading
            lines.append(f"\n{heading}:")
        lines.append(f"  {words:<23}{command.summary}")
    prog = f"slmzoo {group}".strip()
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} COMMAND [options]",
        description=GROUPS.get(group, _ABOUT),
        epilog="\n".join(lines).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"slmzoo {__version__}")
    parser.add_argument("command", metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _within_quota() -> AbstractContextManager[None]:
    """Limit threads to the CPU quota of a container; torch is imported only if there is one."""
    if cores.available() == cores.affinity():
        return nullcontext()
    from slmcore.threads import within_quota

    return within_quota()


@contextmanager
def _logging(verbose: bool, quiet: bool) -> Iterator[None]:
    """Show more or less of the zoo's log."""
    loggers = [logging.getLogger(name) for name in _PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers if verbose else []:
        logger.setLevel(logging.INFO)
    logging.disable(logging.WARNING if quiet else logging.NOTSET)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
