"""Length of MPEG audio (mp3, mp2), by counting its frames: headers may be missing or wrong.

Frame headers after ISO/IEC 11172-3 and 13818-3; the number of frames in a Xing, Info or VBRI header after LAME and FhG.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Mpeg", "counted"]

_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates 1 to 14 by (version, layer); version 2.5 has those of 2."""
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Sample rates by the version's two bits."""
_SAMPLES = {(1, 1): 384, (1, 2): 1152, (1, 3): 1152, (2, 1): 384, (2, 2): 1152, (2, 3): 576}
_ID3_HEADER = 10


@dataclass(frozen=True)
class Mpeg:
    """The frames of a file."""

    frames: int
    """Whole frames with audio."""
    declared: int | None
    """Frames that the encoder's header states; None without one."""
    cut_off: bool
    """Whether the last frame is incomplete."""
    samples_per_frame: int
    rate: int
    """Samples per second."""

    @property
    def samples(self) -> int:
        """Samples of the complete frames, encoder delay and padding included."""
        return self.frames * self.samples_per_frame

    @property
    def missing(self) -> float:
        """Seconds that the encoder's header states but the file does not hold."""
        return max(0, (self.declared or 0) - self.frames) * self.samples_per_frame / self.rate

    @property
    def is_truncated(self) -> bool:
        """Whether the file was truncated; one frame fewer than declared is fine, as some encoders count the header."""
        lacking = 0 if self.declared is None else self.declared - self.frames
        return lacking > 1 or (self.cut_off and (self.declared is None or lacking > 0))


def counted(content: bytes) -> Mpeg | None:
    """Count the frames of a file; None where no two frames follow each other, or the bit rate is free."""
    start = _next(content, _behind_tags(content), None)
    if start is None:
        return None
    kind = _kind(content, start)
    declared = _declared(content[start : start + _length(content, start)])
    frames, cut_off = _walk(content, start, kind)
    version, layer, rate = kind
    header = declared is not None
    return Mpeg(frames - header, declared, cut_off, _SAMPLES[1 if version == 3 else 2, layer], rate)


def _walk(content: bytes, start: int, kind: tuple[int, int, int]) -> tuple[int, bool]:
    """Count the complete frames of one kind from `start`, skipping tags; also whether the last is truncated."""
    second = content[start + 1] & 0xFE  # everything except whether a checksum follows
    sizes = [_length(bytes([0xFF, second, third, 0]), 0) for third in range(256)]
    sizes = [size if third >> 2 & 3 == content[start + 2] >> 2 & 3 else 0 for third, size in enumerate(sizes)]
    frames, place, cut_off, last = 0, start, False, len(content) - 4
    while place <= last:
        size = sizes[content[place + 2]] if content[place] == 0xFF and content[place + 1] & 0xFE == second else 0
        if not size:
            found = _next(content, place + 1, kind)
            if found is None:
                return frames, cut_off
            place = found
            continue
        place += size
        cut_off = place > len(content)
        frames += not cut_off
    return frames, cut_off or content[place:].startswith(b"\xff")


def _kind(content: bytes, place: int) -> tuple[int, int, int]:
    """Return version bits, layer and sample rate of the header at `place`; zeros if there is none."""
    if content[place] != 0xFF or content[place + 1] & 0xE0 != 0xE0:
        return 0, 0, 0
    version, layer, rate = content[place + 1] >> 3 & 3, 4 - (content[place + 1] >> 1 & 3), content[place + 2] >> 2 & 3
    return (0, 0, 0) if version == 1 or layer == 4 or rate == 3 else (version, layer, _RATES[version][rate])


def _length(content: bytes, place: int) -> int:
    """Return the bytes of the frame at `place`; 0 if there is none, or its bit rate is free or invalid."""
    version, layer, rate = _kind(content, place)
    bits = content[place + 2] >> 4
    if not layer or bits in (0, 15):
        return 0
    table = 1 if version == 3 else 2
    bytes_per_second = _KBITS[table, layer][bits - 1] * 125
    padding = content[place + 2] >> 1 & 1
    if layer == 1:
        return 4 * (12 * 8 * bytes_per_second // rate + padding)
    return _SAMPLES[table, layer] * bytes_per_second // rate + padding


def _next(content: bytes, place: int, kind: tuple[int, int, int] | None) -> int | None:
    """Return the first frame from `place` on (of `kind`) followed by another of its kind, or the end of the file."""
    while (place := content.find(b"\xff", place)) >= 0 and place + 4 <= len(content):
        size, found = _length(content, place), _kind(content, place)
        behind = place + size
        if size and kind in (None, found):
            ends = kind is not None and behind >= len(content) - 4
            if ends or (behind + 4 <= len(content) and _kind(content, behind) == found):
                return place
        place += 1
    return None


def _behind_tags(content: bytes) -> int:
    """Return the offset of the audio behind ID3v2 tags, whose sizes hold seven bits per byte."""
    place = 0
    while content[place : place + 3] == b"ID3" and place + _ID3_HEADER <= len(content):
        size = 0
        for byte in content[place + 6 : place + _ID3_HEADER]:
            size = size << 7 | byte & 0x7F
        place += _ID3_HEADER + size
    return place


def _declared(first: bytes) -> int | None:
    """Return the number of frames that the encoder wrote into the first frame, which then holds no audio."""
    for name in (b"Xing", b"Info"):
        place = first.find(name, 4, 44)
        if place >= 0 and first[place + 7] & 1:
            return int.from_bytes(first[place + 8 : place + 12], "big")
    return int.from_bytes(first[50:54], "big") if first[36:40] == b"VBRI" else None
