"""Latencies of the page of `slmzoo web` in Chromium: ready, live units, lambda. Run by benchmarks/streaming.py."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore import audio
from slmzoo.web.server import Server
from slmzoo.web.studio import Studio
from slmzoo.web.systems import Systems
from tests.reference.browser import Browser, Page

LAMBDA_SECONDS = 30
PLACES = (0, 100, 200, 300, 368, 450, 600, 800, 1000)


def measure(zoo: str, wavs: list[Tensor], rate: int) -> dict[str, Any]:
    """Seconds until the page is ready, from speech to its units, and from the slider to the picture."""
    systems = Systems(first=zoo)
    systems.pipeline(zoo)
    studio = Studio(systems)
    wav = torch.cat(wavs, 1)[:, : LAMBDA_SECONDS * rate]
    studio.shelf.keep(wav, rate, "speech")
    server = Server(studio, port=0)
    threading.Thread(target=server.serve, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        audio.write(Path(folder) / "speech.wav", wav[:, : 12 * rate], rate)
        browser = Browser(Path(folder) / "profile", Path(folder) / "speech.wav")
        try:
            return {
                **ready(browser, server.address),
                **at_lambdas(browser, server.address),
                **live(browser, server.address),
            }
        finally:
            browser.close()
            server.stop()


def opened(browser: Browser, address: str) -> Page:
    """A window with the page, ready, and with the last recording drawn."""
    page = browser.page(address)
    page.size(1240, 900)
    page.wait("document.body?.dataset.state === 'ready'")
    page.wait("document.body.dataset.redrawn")
    return page


def ready(browser: Browser, address: str) -> dict[str, float]:
    """Seconds from the request of the page until it can be used."""
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        page = browser.page(address)
        page.wait("document.body?.dataset.state === 'ready'")
        spent.append(time.perf_counter() - began)
    return {"page_ready_seconds": statistics.median(spent)}


def at_lambdas(browser: Browser, address: str) -> dict[str, float]:
    """Milliseconds from a move of the slider until 30 s of speech are redrawn."""
    page, spent = opened(browser, address), []
    for place in PLACES * 3:
        page.js("delete document.body.dataset.redrawn")
        page.js(
            "(() => { const slider = document.getElementById('lambda');"
            f"slider.value = {place}; slider.dispatchEvent(new Event('input')); }})()"
        )
        page.wait("document.body.dataset.redrawn")
        spent.append(float(page.js("document.body.dataset.redrawn")))
    return {"lambda_median_ms": statistics.median(spent), "lambda_longest_ms": max(spent)}


def live(browser: Browser, address: str) -> dict[str, float]:
    """Delay in ms of the units on the page behind the microphone, over some seconds of speech."""
    page, behind = opened(browser, address), []
    page.click("#record")
    page.wait("document.body.dataset.behind")
    end = time.monotonic() + 8
    while time.monotonic() < end:
        behind.append(int(page.js("document.body.dataset.behind")))
        time.sleep(0.05)
    page.click("#record")
    ordered = sorted(behind)
    return {
        "units_behind_median_ms": statistics.median(ordered),
        "units_behind_95_percentile_ms": ordered[int(0.95 * len(ordered))],
        "units_behind_longest_ms": ordered[-1],
    }
