"""The command line itself: wrong usage."""

from __future__ import annotations

import pytest

from slmzoo.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "COMMAND"),
        (("units",), "AUDIO"),
        (("fly",), "invalid choice"),
        (("units", "x.wav", "--device", "tpu"), "invalid choice"),
    ],
)
def test_wrong_usage_is_status_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
