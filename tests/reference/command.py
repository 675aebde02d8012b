"""A command of `slmzoo` in this process."""

from __future__ import annotations

import json

from slmzoo.cli import main


def run(capsys, *arguments: object) -> tuple[int, list[dict], str]:
    """Exit status, results and standard error of a command."""
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err
