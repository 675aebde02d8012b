"""Optional packages of single metrics, imported on demand, with a remedy if missing."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["need"]


def need(package: str, what: str, remedy: str = "") -> Any:
    """Import `package`. Raises an ImportError that says what needs it and how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        remedy = remedy or "pip install 'slmzoo[eval]'"
        raise ImportError(f"{what} needs the package {package} ({error}). Install it: {remedy}.") from error
