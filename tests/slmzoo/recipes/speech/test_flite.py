"""flite's voices, if flite is here, and the message if it is not."""

from __future__ import annotations

import pytest
import soundfile

from slmzoo.recipes.speech.flite import speak
from tests.reference.programs import needs_flite


@needs_flite
def test_flite_speaks_16_khz_and_a_stretch_is_longer(tmp_path):
    speak("The dog sleeps.", tmp_path / "a" / "plain.wav")
    speak("The dog sleeps.", tmp_path / "a" / "slow.wav", "rms", 1.25)
    plain, slow = (soundfile.info(tmp_path / "a" / name) for name in ("plain.wav", "slow.wav"))
    assert (plain.samplerate, plain.channels, plain.subtype) == (16000, 1, "PCM_16")
    assert slow.frames > plain.frames
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["plain.wav", "slow.wav"]


def test_a_missing_flite_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt install flite"):
        speak("Hello.", tmp_path / "a.wav")
