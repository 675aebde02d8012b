"""File types by their first bytes, regardless of the name."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_safetensors", "unlike_a_checkpoint"]

_HEAD = 512
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")


def is_safetensors(path: Path) -> bool:
    """Whether `path` begins as a safetensors file: the length of a JSON header that fits in, and the header's brace."""
    with path.open("rb") as file:
        head = file.read(9)
    length = int.from_bytes(head[:8], "little")
    return head[8:] == b"{" and length <= path.stat().st_size - 8


def unlike_a_checkpoint(path: Path) -> str:
    """Describe a file that is not a checkpoint, for a message; empty if its first bytes do not tell."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "is empty. Download it again."
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer to a checkpoint. Get the file itself with `git lfs pull`."
    if head.lstrip().lower().startswith(_PAGES):
        return "is a web page and no checkpoint. Its address gave a page in place of the file: download it again."
    return "is a text file and no checkpoint. Download it again." if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    """Whether all is printable ASCII; the last character of a multi-byte encoding could be cut."""
    return all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
