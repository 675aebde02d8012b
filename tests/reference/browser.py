"""Chromium over its DevTools protocol: a page to click, to ask and to photograph, with a file as its microphone."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

__all__ = ["Browser", "Page", "found"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def found() -> str | None:
    """Return the path of Chromium or Chrome, None where there is none."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


class Page:
    """One window."""

    def __init__(self, url: str) -> None:
        self._socket = connect(url, max_size=1 << 26).__enter__()
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol; what the page logs as errors meanwhile is kept in `errors`."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("method") == "Runtime.exceptionThrown":
                details = answer["params"]["exceptionDetails"]
                self.errors.append(str(details.get("exception", {}).get("description") or details["text"]))
            if answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["source"] == "security":
                self.errors.append(answer["params"]["entry"]["text"])
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def js(self, code: str) -> Any:
        """Evaluate an expression, a promise to its end; an AssertionError with the page's words if it throws."""
        answer = self.send("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, code: str, seconds: float = 60) -> None:
        """Wait until an expression is true; an AssertionError with the page's messages if it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.js(f"Boolean({code})"):
                return
            time.sleep(0.05)
        shown = self.js("[document.body.dataset.state, document.getElementById('messages').innerText].join(': ')")
        raise AssertionError(f"{code} was never true in {seconds} s. Page: {shown}. Errors: {self.errors}")

    def click(self, selector: str) -> None:
        """Click an element."""
        self.js(f"document.querySelector({selector!r}).click()")

    def key(self, key: str, code: str = "") -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, **text)

    def size(self, width: int, height: int, dark: bool = False, ratio: float = 1.0, mobile: bool = False) -> None:
        """Show the page at a size, in light or dark colours."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=ratio, mobile=mobile
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=scheme)

    def picture(self, path: Path, whole: bool = False, kind: str = "png") -> None:
        """Write a screenshot, of the whole page or what is seen."""
        quality = {"quality": 70} if kind == "webp" else {}
        answer = self.send("Page.captureScreenshot", format=kind, captureBeyondViewport=whole, **quality)
        path.write_bytes(base64.b64decode(answer["data"]))


class Browser:
    """A headless Chromium with a profile of its own."""

    def __init__(self, folder: Path, microphone: Path | None, allowed: bool = True) -> None:
        """`microphone`: wav that is heard once, None for no microphone; `allowed`: whether pages may hear it."""
        self._folder = folder
        fake = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}%noloop"]
        microphone_options = fake if microphone else []
        self._process = subprocess.Popen(
            [
                str(found()), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio",
                "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={folder}",
                "--autoplay-policy=no-user-gesture-required", *microphone_options,
                *(["--use-fake-ui-for-media-stream"] if allowed else ["--deny-permission-prompts"]), "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._port = self._reported_port()

    def page(self, url: str) -> Page:
        """Open a window."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=60) as answer:
            made = Page(json.load(answer)["webSocketDebuggerUrl"])
        made.send("Page.navigate", url=url)
        return made

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(timeout=30)

    def _reported_port(self) -> int:
        file, end = self._folder / "DevToolsActivePort", time.monotonic() + 90
        while time.monotonic() < end:
            if file.is_file() and file.read_text():
                return int(file.read_text().splitlines()[0])
            time.sleep(0.1)
        raise AssertionError("Chromium did not start.")
