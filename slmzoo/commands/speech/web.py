"""`slmzoo web`: the page on this machine."""

from __future__ import annotations

import sys
import webbrowser
from dataclasses import dataclass

from slmzoo.commands.common import device_of
from slmzoo.commands.options.web import WebOptions
from slmzoo.commands.waiting import waiting
from slmzoo.evaluation.optional import need
from slmzoo.web.studio import Studio
from slmzoo.web.systems import Systems

__all__ = ["Web"]

_PACKAGES = ("starlette", "uvicorn", "websockets")


@dataclass(frozen=True, kw_only=True)
class Web(WebOptions):
    """Serve the page until it is interrupted."""

    def run(self) -> int:
        """Load the first zoo, print the address, and serve."""
        for package in _PACKAGES:
            need(package, "The page", "pip install 'slmzoo[web]'")
        from slmzoo.web.server import Server

        systems = Systems(
            registry=self.registry, device=device_of(self.device), k=self.k, lmbda=self.lmbda, first=self.zoo
        )
        with waiting(f"loading models of the zoo {self.zoo}"):
            systems.pipeline(self.zoo)
        server = Server(Studio(systems), self.host, self.port)
        # The address is bound already: a browser that comes before the server waits for it.
        sys.stdout.write(f"slmzoo: {server.address} (Ctrl+C stops it)\n")
        sys.stdout.flush()
        if self.open:
            webbrowser.open(server.address)
        server.serve()
        return 0
