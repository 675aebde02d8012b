"""Marks of tests that need a program of the system, which pip cannot install."""

from __future__ import annotations

import shutil

import pytest

__all__ = ["needs_espeak", "needs_ffmpeg", "needs_flite"]


def _needs(program: str) -> pytest.MarkDecorator:
    reason = f"runs the program {program}, which is not installed: apt install {program}"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


needs_espeak, needs_ffmpeg, needs_flite = _needs("espeak-ng"), _needs("ffmpeg"), _needs("flite")
