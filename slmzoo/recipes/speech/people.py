"""Recordings of people, without texts: what synthetic voices cannot teach an encoder.

`python -m slmzoo.recipes.speech.people --data DIR` writes `DIR/people/<source>/<name>.wav` (16 kHz, mono) from packages
of Debian: the English dialogue of the adventure game Flight of the Amazon Queen (several actors, 4.1 hours), and
Asterisk's prompts in French, Italian and Russian (three speakers). Its English and Spanish prompts are by one speaker,
who is held out. Existing files are kept.
"""

from __future__ import annotations

import argparse
import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmzoo.recipes.speech.recorded import decode_g722

__all__ = ["GAME", "PACKAGES", "PROMPTS", "dialogue", "make"]

GAME = Path("/usr/share/scummvm/flight-of-the-amazon-queen/queen.1c")
PROMPTS = {
    "fr": Path("/usr/share/asterisk/sounds/fr_CA_f_June"),
    "it": Path("/usr/share/asterisk/sounds/it_IT_m_Carlo"),
    "ru": Path("/usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU"),
}
PACKAGES = ("flight-of-the-amazon-queen", *(f"asterisk-core-sounds-{language}-g722" for language in PROMPTS))

_RATE = 16_000
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.5, 25.0
_PROMPT_RATE = 8_000
"""Bytes per second of G.722 at 64 kbit/s."""
_HEADER, _ENTRY = struct.Struct(">4s6sBBBH"), struct.Struct(">12sBII")
"""ScummVM's compressed archive: tag, version, two flags, compression, entries; name, bundle, place, size of each."""
_MP3 = 1
_SPEECH = re.compile(r"(\w+)\.SB")


def make(data: Path, game: Path = GAME, prompts: dict[str, Path] = PROMPTS) -> None:
    """Write the recordings of 1.5 to 25 s. Raises FileNotFoundError without the packages."""
    missing = [str(path) for path in (game, *prompts.values()) if not path.exists()]
    if missing:
        remedy = f"Install the recordings: `apt install {' '.join(PACKAGES)}`."
        raise FileNotFoundError(f"{', '.join(missing)}: no such file or folder. {remedy}")
    _write_dialogue(game, data / "people" / "queen")
    for language, folder in prompts.items():
        _write_prompts(folder, data / "people" / language)


def dialogue(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and mp3 of each spoken line of the game's archive. Raises ValueError for another file."""
    with archive.open("rb") as file:
        header = file.read(_HEADER.size)
        tag, *_, compression, count = _HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
        if tag != b"QTBL" or compression != _MP3:
            raise ValueError(must(str(archive), "the game's archive with mp3 (`queen.1c`)", repr(header[:10])))
        table = file.read(count * _ENTRY.size)
        for name, _, place, size in _ENTRY.iter_unpack(table):
            match = _SPEECH.fullmatch(name.partition(b"\0")[0].decode("latin-1"))
            if match:
                file.seek(place)
                yield match[1], file.read(size)


def _write_dialogue(game: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tqdm(dialogue(game), desc="dialogue", mininterval=10):
        path = folder / f"{name}.wav"
        if path.exists():
            continue
        wav, sr = audio.decode(io.BytesIO(content), name)
        if _SHORTEST_SECONDS <= wav.shape[-1] / sr <= _LONGEST_SECONDS:
            audio.write(path, audio.resample(audio.mono(wav), sr, _RATE), _RATE)


def _write_prompts(sounds: Path, folder: Path) -> None:
    for source in tqdm(sorted(sounds.rglob("*.g722")), desc=folder.name, mininterval=10):
        path = folder / source.relative_to(sounds).with_suffix(".wav")
        is_silence = source.parent.name == "silence"
        seconds = source.stat().st_size / _PROMPT_RATE
        if not is_silence and _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            decode_g722(source, path)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m slmzoo.recipes.speech.people", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus")
    make(parser.parse_args(argv).data)


if __name__ == "__main__":
    main()
