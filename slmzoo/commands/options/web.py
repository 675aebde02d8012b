"""Options of `slmzoo web`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.arguments import flag

__all__ = ["WebOptions"]


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """Open a page on this machine: speak, and see units while you speak; hear them again, continue them, compare.

    All zoos whose models are on this machine are offered. Nothing is downloaded, and nothing leaves the machine.
    Needs the extra `web`: pip install 'slmzoo[web]'.
    """

    title: ClassVar[str] = "models"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo web", "slmzoo web --zoo dp-slm --k 500 --lmbda 4500")

    zoo: str = "demo"
    """Zoo that is shown first."""
    registry: str | None = field(default=None, metavar="ZOO.json")
    """File with the rows of a zoo of your own."""
    k: int | None = None
    """Number of codes of the first zoo; by default its own."""
    lmbda: float | None = None
    """Weight of the duration penalty of the first zoo; by default its own."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device; auto takes CUDA where there is a GPU."""
    host: str = "127.0.0.1"
    """Address to listen on. Others than this machine's own need the token of the printed address, and a browser gives
    no microphone to a page of another machine without HTTPS."""
    port: int = 8000
    """Port; 0 takes a free one."""
    open: bool = flag(True)
    """Open the page in a browser."""
