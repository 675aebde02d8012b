"""How the commands of `slmzoo train` tell their results."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from slmzoo.training.loop.run import rank

__all__ = ["tell"]


def tell(*results: Mapping[str, Any]) -> None:
    """Write a JSON line on standard output for each result, from the first of several processes alone."""
    if not rank():
        sys.stdout.write("".join(json.dumps(result) + "\n" for result in results))
