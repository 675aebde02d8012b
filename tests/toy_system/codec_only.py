"""A system of the toy codec alone."""

from __future__ import annotations

from slmzoo.systems import System
from tests.toy_system.system import codec

__all__ = ["SYSTEM"]

SYSTEM = System(name="toy-codec", codec=codec, parts=("toy_codec",))
