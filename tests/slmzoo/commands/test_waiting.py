"""A step that takes time is shown to a person, and to nobody else."""

from __future__ import annotations

import io
import logging
import threading
import time

import pytest

from slmzoo.commands.waiting import waiting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_step_while_it_lasts():
    shown = Terminal()
    with waiting("loading", shown):
        time.sleep(1.2)
        during = shown.getvalue()
    assert "loading ... 00:00" in during
    assert "loading ... 00:01" in during
    assert shown.getvalue().endswith("\r")
    assert shown.getvalue().rsplit("\r", 2)[1].strip() == ""
    assert not [thread for thread in threading.enumerate() if "count" in thread.name]


def test_nothing_is_written_elsewhere():
    shown = io.StringIO()
    with waiting("loading", shown):
        pass
    assert shown.getvalue() == ""


def test_nothing_is_shown_where_only_errors_are_wanted():
    shown = Terminal()
    logging.disable(logging.WARNING)
    try:
        with waiting("loading", shown):
            pass
    finally:
        logging.disable(logging.NOTSET)
    assert shown.getvalue() == ""


def test_what_goes_wrong_is_passed_on_and_the_line_goes():
    shown = Terminal()
    with pytest.raises(ValueError, match="wrong"), waiting("loading", shown):
        raise ValueError("wrong")
    assert shown.getvalue().rsplit("\r", 2)[1].strip() == ""
