"""The page in a real browser: one speaks, sees units meanwhile, and hears what is made of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmzoo.web.limits import Limits
from slmzoo.web.server import Server
from slmzoo.web.studio import Studio
from slmzoo.web.systems import Systems
from tests.reference.browser import Browser, Page, found
from tests.slmzoo.web.conftest import serving

pytestmark = pytest.mark.skipif(found() is None, reason="needs Chromium or Chrome (apt-get install chromium)")
SAMPLE = Path(__file__).parents[3] / "examples" / "sample.wav"
# What is played: length and loudness of every sound that is started.
PLAYED = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...when) {
  const wav = this.buffer.getChannelData(0);
  window.played.push([this.buffer.duration, Math.max(...wav.map(Math.abs))]);
  return start.apply(this, when);
};
"""


@pytest.fixture(scope="module")
def demo() -> Systems:
    made = Systems()
    made.pipeline("demo")
    return made


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.page("about:blank")
    page.send("Page.addScriptToEvaluateOnNewDocument", source=PLAYED)
    page.send("Page.navigate", url=address)
    page.size(1240, 900)
    page.wait("document.body?.dataset.state === 'ready'")
    yield page
    page.js("0")
    assert page.errors == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("browser"), SAMPLE)
    yield made
    made.close()


@pytest.fixture
def page(browser, demo) -> Iterator[Page]:
    with serving(Studio(demo)) as client, opened(browser, client.address) as made:
        yield made


def number(page: Page, name: str) -> float:
    return float(page.js(f"parseFloat(document.getElementById('{name}').textContent)"))


def messages(page: Page) -> str:
    return page.js("document.getElementById('messages').innerText")


def record(page: Page, units: int = 5) -> None:
    """Speak until so many units are seen."""
    page.click("#record")
    page.wait(f"Number(document.querySelector('#strip canvas')?.dataset.units) > {units}")


def stop(page: Page) -> None:
    page.js("delete document.body.dataset.redrawn")
    page.click("#record")
    page.wait("document.body.dataset.redrawn")


def take_sample(page: Page) -> None:
    page.js("delete document.body.dataset.redrawn")
    page.click("#sample")
    page.wait("document.body.dataset.redrawn")


def drop(page: Page, content: str, name: str) -> None:
    """Drop a file whose content is a JavaScript expression."""
    page.js(
        f"(() => {{ const data = new DataTransfer(); data.items.add(new File([{content}], {name!r}));"
        "dispatchEvent(new DragEvent('drop', { dataTransfer: data, cancelable: true })); })()"
    )


def test_one_speaks_sees_units_meanwhile_and_hears_what_is_made(page) -> None:
    record(page, 12)
    assert page.js("document.body.dataset.state") == "recording"
    stop(page)
    assert number(page, "count") > 12
    assert 5 < number(page, "rate") < 40
    page.click("#resynth [type=submit]")
    page.wait("document.querySelector('.takes .hear')", 120)
    page.click(".takes .hear")
    page.wait("window.played.length && document.body.dataset.playing")
    (lasts, peak), whole = page.js("window.played.at(-1)"), number(page, "seconds")
    assert lasts == pytest.approx(whole, abs=0.1)
    assert peak > 0.05
    page.click("#ab")
    page.wait("window.played.length === 3")
    page.key("b", "KeyB")
    page.wait("document.getElementById('ab').textContent.startsWith('Hearing B')")


def test_units_are_pointed_at_moved_through_and_heard(page) -> None:
    take_sample(page)
    page.js("document.querySelector('#strip canvas').focus()")
    page.key("ArrowRight")
    page.key("ArrowRight")
    assert page.js("document.getElementById('detail').innerText").startswith("Unit 25 · 0.06 to 0.10 s (40 ms)")
    assert "between 77 and 0" in page.js("document.getElementById('detail').innerText")
    page.key("End")
    assert "and the end" in page.js("document.getElementById('detail').innerText")
    page.key("Enter")
    page.wait("window.played.length === 1")
    places = page.js("parseInt(document.getElementById('detail').innerText.split(' · ').at(-1))")
    assert page.js("window.played[0][0]") > 0.12 * places


def test_lambda_redraws_units_and_their_rates(page) -> None:
    take_sample(page)
    rates = []
    for place in (0, 300, 900):
        page.js("delete document.body.dataset.redrawn")
        page.js(
            "(() => { const slider = document.getElementById('lambda');"
            f"slider.value = {place}; slider.dispatchEvent(new Event('input')); }})()"
        )
        page.wait("document.body.dataset.redrawn")
        rates.append((number(page, "rate"), number(page, "bits"), number(page, "count")))
    assert rates == sorted(rates, reverse=True)
    assert rates[0][0] > 2 * rates[2][0]
    page.click("#lambda-reset")
    page.wait("document.getElementById('count').textContent === '82'")


def test_recordings_are_compared_and_systems_stand_side_by_side(page) -> None:
    take_sample(page)
    take_sample(page)
    page.click("#score")
    page.wait("document.querySelectorAll('#scores figure').length === 2")
    assert "nats" in page.js("document.getElementById('scores').innerText")
    page.click("#compare")
    page.wait("document.querySelectorAll('#side figure').length === 1")
    assert "22.8 units per second" in page.js("document.getElementById('side').innerText")


def test_recordings_units_and_pictures_are_kept_as_files(page, tmp_path) -> None:
    take_sample(page)
    page.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for kind, name in (("wav", "sample.wav"), ("json", "sample-demo.json"), ("png", "sample.png")):
        page.click(f"#save-{kind}")
        end = time.monotonic() + 30
        while not (tmp_path / name).is_file() and time.monotonic() < end:
            time.sleep(0.05)
    saved = json.loads((tmp_path / "sample-demo.json").read_text())
    assert (saved["zoo"], saved["lmbda"], len(saved["units"])) == ("demo", 1410.0, 82)
    wav, rate = audio.load(tmp_path / "sample.wav")
    torch.testing.assert_close(wav, audio.load(SAMPLE)[0], atol=1e-4, rtol=0)
    assert rate == 16000
    assert (tmp_path / "sample.png").read_bytes().startswith(b"\x89PNG")


def test_speech_goes_on_in_several_samples(page) -> None:
    take_sample(page)
    page.js("document.querySelector('#continue [name=prompt_seconds]').value = 0.5")
    page.click("#continue [type=submit]")
    page.wait("document.querySelectorAll('.takes .hear').length === 2", 180)


def test_what_cannot_be_taken_is_told_and_the_page_goes_on(page) -> None:
    drop(page, "'hello'", "notes.txt")
    page.wait("document.getElementById('messages').innerText.includes('notes.txt')")
    drop(page, "new Uint8Array(65 * 2 ** 20)", "lecture.wav")
    page.wait("document.getElementById('messages').innerText.includes('lecture.wav is larger')")
    page.js(
        "(() => { const all = document.getElementById('system');"
        "all.value = 'dp-slm'; all.dispatchEvent(new Event('change')); })()"
    )
    page.wait("document.getElementById('messages').innerText.includes('dp-slm is not here')")
    assert page.js("document.getElementById('system').value") == "demo"
    take_sample(page)
    assert number(page, "count") == 82


def test_a_second_window_is_told_and_loses_nothing(browser, demo) -> None:
    with serving(Studio(demo)) as client, opened(browser, client.address) as first:
        record(first)
        with opened(browser, client.address) as second:
            second.click("#record")
            second.wait("document.getElementById('messages').innerText.includes('Another window is recording')")
            second.wait("document.body.dataset.state === 'ready'")
            stop(first)
            assert number(first, "count") > 5
            stop_of_second = "document.querySelectorAll('#shelf li').length >= 0"
            assert second.js(stop_of_second)
            record(second)
            stop(second)


def test_a_lost_connection_keeps_the_recording(browser, demo) -> None:
    studio = Studio(demo)
    with serving(studio) as client:
        port = int(client.host.partition(":")[2])
        page = browser.page(client.address)
        page.wait("document.body?.dataset.state === 'ready'")
        record(page)
    page.wait("document.getElementById('messages').innerText.includes('The connection was lost')")
    assert page.js("document.body.dataset.state") == "recording"
    page.click("#record")
    page.wait("document.getElementById('messages').innerText.includes('does not answer')")
    server = Server(studio, port=port)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    page.wait("document.querySelectorAll('#shelf li').length === 1")
    assert len(studio.shelf.recordings()) == 1
    server.stop()
    thread.join(timeout=30)


def test_a_denied_microphone_is_told(tmp_path, demo) -> None:
    refusing = Browser(tmp_path, SAMPLE, allowed=False)
    try:
        with serving(Studio(demo, Limits())) as client, opened(refusing, client.address) as page:
            page.click("#record")
            page.wait("document.getElementById('messages').innerText.includes('does not let this page')")
            assert page.js("document.body.dataset.state") == "ready"
            take_sample(page)
    finally:
        refusing.close()


def test_no_microphone_is_told(tmp_path, demo) -> None:
    bare = Browser(tmp_path, None)
    try:
        with serving(Studio(demo)) as client, opened(bare, client.address) as page:
            page.click("#record")
            page.wait("document.getElementById('messages').innerText.includes('No microphone was found')")
            take_sample(page)
    finally:
        bare.close()


@pytest.mark.parametrize("width", [360, 1240])
def test_it_fits_its_window_and_asks_no_other_host(page, width) -> None:
    take_sample(page)
    page.size(width, 800, mobile=width < 500)
    time.sleep(0.3)
    assert page.js("document.documentElement.scrollWidth") <= width
    loaded = page.js("performance.getEntriesByType('resource').map((each) => new URL(each.name).host)")
    assert set(loaded) == {page.js("location.host")}
    unnamed = "[...document.querySelectorAll('button, input, select, canvas')].filter((each) => !each.hidden"
    unnamed += " && !(each.textContent.trim() || each.ariaLabel || each.labels?.length)).length"
    assert page.js(unnamed) == 0
