from __future__ import annotations

import errno
import hashlib
import json
import logging
import multiprocessing
import os
import resource
import signal
import socket
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests  # noqa: F401 (a child process without rights could not import it)

from slmcore.errors import DigestError, FetchError, OfflineError
from slmcore.files import fetch as fetching
from slmcore.files.cache import Wanted, obtain
from slmcore.files.fetch import Policy, cache_folder, fetch, resolve, status, verify
from slmcore.files.rows import Row
from tests.reference.web import Reply, Web

CONTENT = np.random.default_rng(7).bytes(300_000)
OTHER = np.random.default_rng(8).bytes(300_000)
DIGITS = hashlib.sha256(CONTENT).hexdigest()
# Patient with a loaded machine, quick to try again.
QUICK = Policy(connect_timeout=20, read_timeout=20, attempts=3, backoff=0.01, longest_wait=2, chunk=4096)
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("SLMZOO_MIRROR", "SLMZOO_OFFLINE", "SLMZOO_REGISTRY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def web():
    with Web(CONTENT) as server:
        yield server


def row(web, digits=DIGITS[:8], zoo="dp-slm", name="model.bin"):
    return Row(zoo=zoo, kind="ulm", url=f"{web.url}/v1/{name}", sha256=digits)


def get(source):
    return fetch(source, progress=False, policy=QUICK)


def leftovers():
    """What a later run could mistake for a file."""
    folder = cache_folder()
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock")) if folder.exists() else []


def test_a_file_is_downloaded_once_and_recorded(web):
    path = get(row(web))
    assert path == cache_folder() / "model.bin"
    assert path.read_bytes() == CONTENT
    assert get(row(web)) == path
    assert len(web.requests) == 1
    assert leftovers() == ["model.bin", "model.bin.record.json"]
    assert json.loads((cache_folder() / "model.bin.record.json").read_text())["sha256"] == DIGITS
    assert verify(row(web)) == DIGITS


def test_what_torch_hub_itself_downloaded_is_used(web):
    cache_folder().mkdir(parents=True)
    (cache_folder() / "model.bin").write_bytes(CONTENT)
    assert get(row(web)).read_bytes() == CONTENT
    assert web.requests == []


def test_files_of_one_name_from_two_places_do_not_meet(web):
    with Web(OTHER) as second:
        one, other = get(f"{web.url}/model.bin"), get(f"{second.url}/model.bin")
    assert (one.read_bytes(), other.read_bytes()) == (CONTENT, OTHER)


@pytest.mark.parametrize("cut", [0, 1, 100_000, 299_999])
def test_a_broken_download_goes_on_where_it_broke(web, cut):
    web.script = [Reply(cut=cut)]
    assert get(row(web)).read_bytes() == CONTENT
    assert len(web.requests) == 2
    resumed = int((web.requests[1][1] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
    # Blocks of 4096 bytes are written: what came of the last one is asked for again.
    assert cut - 4096 <= resumed <= cut


def test_many_breaks_are_survived_while_there_is_progress(web):
    web.content = np.random.default_rng(1).bytes(6 << 20)
    web.script = [Reply(cut=(1 << 20) + 9000) for _ in range(5)]
    path = get(row(web, hashlib.sha256(web.content).hexdigest()))
    assert path.stat().st_size == 6 << 20
    assert len(web.requests) == 6


def test_a_server_that_never_gets_further_is_given_up_and_a_later_run_goes_on(web):
    web.script = [Reply(cut=100_000)] + [Reply(cut=0)] * 2
    with pytest.raises(FetchError, match=r"3 attempts in a row.*run again"):
        get(row(web))
    assert not (cache_folder() / "model.bin").exists()
    assert get(row(web)).read_bytes() == CONTENT
    assert web.requests[-1][1] == f"bytes={100_000 // 4096 * 4096}-"


def test_a_server_that_ignores_range(web):
    web.script = [Reply(cut=100_000), Reply(ranges=False)]
    assert get(row(web)).read_bytes() == CONTENT


@pytest.mark.parametrize("digits", [hashlib.sha256(OTHER).hexdigest(), ""])
def test_a_file_that_changed_during_the_break_is_taken_from_its_beginning(web, digits):
    web.script = [Reply(cut=100_000)] + [Reply(cut=0)] * 2
    with pytest.raises(FetchError):
        get(row(web, digits))
    web.content, web.tag = OTHER, '"2"'
    assert get(row(web, digits)).read_bytes() == OTHER


@pytest.mark.parametrize("tag", [None, 'W/"1"'])
def test_without_a_strong_mark_of_the_version_nothing_is_resumed(web, tag):
    web.tag, web.script = tag, [Reply(cut=100_000)]
    assert get(row(web)).read_bytes() == CONTENT
    assert web.requests[1][1] is None


def test_a_part_longer_than_the_file_is_dropped(web):
    web.script = [Reply(cut=100_000)] + [Reply(cut=0)] * 2
    with pytest.raises(FetchError):
        get(row(web))
    known = cache_folder() / ".model.bin.part.json"
    known.write_text(json.dumps(json.loads(known.read_text()) | {"size": None}))
    with (cache_folder() / ".model.bin.part").open("ab") as part:
        part.write(bytes(300_000))
    assert get(row(web)).read_bytes() == CONTENT


def test_a_part_that_was_whole_when_the_process_died_is_not_asked_for_again(web):
    cache_folder().mkdir(parents=True)
    (cache_folder() / ".model.bin.part").write_bytes(CONTENT)
    known = {"url": row(web).url, "validator": '"1"', "size": len(CONTENT)}
    (cache_folder() / ".model.bin.part.json").write_text(json.dumps(known))
    assert get(row(web)).read_bytes() == CONTENT
    assert web.requests == []


def test_another_range_than_was_asked_for_is_not_joined_on(web):
    web.script = [Reply(cut=100_000), Reply(status=206, headers={"Content-Range": "bytes 0-299999/300000"})]
    assert get(row(web)).read_bytes() == CONTENT
    assert [span for _, span in web.requests] == [None, "bytes=98304-", None]


def test_a_range_that_was_never_asked_for_is_refused(web):
    web.script = [Reply(status=206)]
    with pytest.raises(FetchError, match="range"):
        get(row(web))
    assert leftovers() == []


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_a_busy_server_is_asked_again(web, code, caplog):
    web.script = [Reply(status=code, body=b"busy")]
    with caplog.at_level(logging.WARNING):
        assert get(row(web)).read_bytes() == CONTENT
    assert f"answered {code}" in caplog.text


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_obeyed(web, as_date):
    start = time.monotonic()
    # A date has whole seconds, and the wait ends between one and two seconds from now.
    when = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=2), usegmt=True) if as_date else "1"
    web.script = [Reply(status=429, body=b"slow down", headers={"Retry-After": when})]
    get(row(web))
    assert time.monotonic() - start > 0.9


def test_a_wait_that_is_too_long_is_not_sat_out(web):
    web.script = [Reply(status=503, body=b"", headers={"Retry-After": "3600"})]
    with pytest.raises(FetchError, match="wait 3600 s"):
        get(row(web))


@pytest.mark.parametrize("cut", [0, 50_000])
def test_a_server_that_stalls(web, cut):
    web.script = [Reply(cut=cut, stall=1.5)]
    impatient = replace(QUICK, read_timeout=0.5, attempts=50)
    assert fetch(row(web), progress=False, policy=impatient).read_bytes() == CONTENT
    assert len(web.requests) >= 2


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=404, body=b"no"), "404"),
        (Reply(status=403, body=b"no"), "403"),
        (Reply(body=PAGE, headers={"Content-Type": "text/html; charset=utf-8"}), "a web page in place"),
        (Reply(body=b"\r\n " + PAGE), "a web page in place"),
        (Reply(body=b'{"error": "moved"}'), "does not begin like"),
        (Reply(body=b""), "does not begin like"),
        (Reply(headers={"Content-Encoding": "gzip"}), "compressed"),
        (Reply(status=301, headers={"Location": "file:///etc/passwd"}), "Check the address"),
    ],
)
def test_what_is_not_the_file_is_refused_and_nothing_is_kept(web, reply, message):
    web.script = [reply]
    with pytest.raises(FetchError, match=message):
        get(row(web, "", name="model.pt"))
    assert leftovers() == []


def test_a_wrong_length_is_never_taken_for_the_file(web):
    web.script = [Reply(length=len(CONTENT) + 5)] * 3
    with pytest.raises(FetchError, match="attempts in a row"):
        get(row(web))
    web.script = [Reply(length=len(CONTENT) - 5)]
    with pytest.raises(DigestError, match="sent another file"):
        fetch(row(web, name="again.bin"), progress=False, policy=QUICK)
    assert not {"model.bin", "again.bin"} & set(leftovers())


def test_a_body_of_unknown_length(web):
    web.script = [Reply(length=-1)]
    assert get(row(web)).read_bytes() == CONTENT


def test_a_wrong_digest_leaves_nothing(web):
    web.content = OTHER
    with pytest.raises(DigestError, match=rf"model.bin has SHA-256 .* but must have {DIGITS[:8]}"):
        get(row(web))
    assert leftovers() == []
    web.content = CONTENT
    assert get(row(web)).read_bytes() == CONTENT


def test_where_no_digits_are_known_the_first_file_is_the_measure(web):
    path = get(row(web, ""))
    assert status(row(web, "")).state == "recorded"
    path.unlink()
    web.content = OTHER
    with pytest.raises(DigestError, match=r"must equal the first download.*model\.bin\.record\.json"):
        get(row(web, ""))
    assert not path.exists()
    web.content = CONTENT
    assert get(row(web, "")) == path


def test_digits_that_become_known_later_are_held_against_what_was_recorded_before(web):
    """The file came while no digits were known; a table that names others must refuse it though its record holds."""
    path = get(row(web, digits=""))
    with pytest.raises(DigestError, match="Delete"):
        get(row(web, digits="0" * 8))
    with pytest.raises(DigestError):
        verify(row(web, digits=hashlib.sha256(OTHER).hexdigest()))
    assert get(row(web, digits=DIGITS)) == path
    assert len(web.requests) == 1


@pytest.mark.parametrize("digits", [DIGITS, DIGITS[:8], ""])
def test_a_file_that_changed_in_the_cache_is_found_out(web, digits):
    path = get(row(web, digits))
    path.write_bytes(OTHER)
    assert status(row(web, digits)).state == "unknown"
    with pytest.raises(DigestError, match=rf"damaged or replaced.*Delete {path}"):
        get(row(web, digits))
    path.unlink()
    assert get(row(web, digits)).read_bytes() == CONTENT


def test_a_file_that_was_only_touched_is_read_again_and_kept(web):
    path = get(row(web))
    os.utime(path, (1, 1))
    assert status(row(web)).state == "unknown"
    assert get(row(web)) == path
    assert status(row(web)).state == "verified"


def test_verify_reads_the_file_even_if_size_and_time_agree(web):
    path = get(row(web))
    stat = path.stat()
    path.write_bytes(OTHER)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert get(row(web)) == path
    with pytest.raises(DigestError):
        verify(row(web))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": 5, "size": 1, "mtime_ns": 1, "url": ""}', "\x00"])
def test_a_damaged_record_only_costs_reading_the_file(web, text):
    path = get(row(web))
    (cache_folder() / "model.bin.record.json").write_text(text)
    assert get(row(web)) == path
    assert status(row(web)) == fetching.Status(state="verified", path=path, size=len(CONTENT), sha256=DIGITS)


def test_the_status_of_what_is_not_here(web):
    assert status(row(web)).state == "absent"
    with pytest.raises(FileNotFoundError, match="Fetch it first"):
        verify(row(web))


def _fetch_together(url, barrier, results):
    barrier.wait()
    results.put(fetch(url, progress=False, policy=QUICK).read_bytes() == CONTENT)


def test_processes_that_start_together_download_once(web):
    web.script = [Reply(cut=150_000, stall=0.3)]
    barrier, results = FORK.Barrier(4), FORK.Queue()
    children = [FORK.Process(target=_fetch_together, args=(row(web), barrier, results)) for _ in range(4)]
    for child in children:
        child.start()
    assert [results.get(timeout=120) for _ in children] == [True] * 4
    for child in children:
        child.join()
    # One download, in two requests since the first was broken off.
    assert len(web.requests) == 2


def test_a_killed_download_is_taken_up_by_the_next_process(web):
    web.script = [Reply(cut=200_000, stall=30)]
    slow = Policy(read_timeout=30, chunk=4096)
    child = FORK.Process(target=fetch, args=(row(web),), kwargs={"progress": False, "policy": slow})
    child.start()
    part = cache_folder() / ".model.bin.part"
    deadline = time.monotonic() + 100
    while not (part.exists() and part.stat().st_size > 100_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    here = part.stat().st_size
    assert 100_000 < here < len(CONTENT)
    assert get(row(web)).read_bytes() == CONTENT
    assert web.requests[-1][1] == f"bytes={here}-"
    assert leftovers() == ["model.bin", "model.bin.record.json"]


def _report(call, results):
    try:
        call()
        results.put(("", 0))
    except OSError as error:
        results.put((f"{type(error).__name__}: {error}", error.errno))


def _in_child(call):
    results = FORK.Queue()
    child = FORK.Process(target=_report, args=(call, results))
    child.start()
    answer = results.get(timeout=120)
    child.join()
    return answer


def test_a_full_disk(web):
    def call():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        get(row(web))

    message, _ = _in_child(call)
    assert message.startswith("FetchError")
    assert "no room" in message
    assert "TORCH_HOME" in message
    assert leftovers() == []
    assert get(row(web)).read_bytes() == CONTENT


def test_a_disk_too_small_is_told_before_anything_is_written(web, monkeypatch):
    monkeypatch.setattr("slmcore.files.download.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(FetchError, match=r"no room.*300,000 bytes are needed and 1,000 are free"):
        get(row(web))
    assert leftovers() == []


@pytest.mark.parametrize("filled", [False, True])
def test_a_cache_that_cannot_be_written(web, filled):
    """Without the file it is an error; with it, even without its record, the cache serves."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        if filled:
            (folder / "model.bin").write_bytes(CONTENT)
        Path(home).chmod(0o755)
        folder.chmod(0o555)

        def call():
            os.environ["TORCH_HOME"] = home
            if os.geteuid() == 0:
                os.seteuid(65534)
            get(row(web))

        message, _ = _in_child(call)
        folder.chmod(0o755)
        assert sorted(p.name for p in folder.iterdir()) == (["model.bin"] if filled else [])
    assert ("cannot be written" in message and "TORCH_HOME" in message) if not filled else message == ""


def test_a_cache_that_is_no_folder(web, tmp_path):
    (tmp_path / "torch").write_text("")
    with pytest.raises(FetchError, match="cannot be used"):
        get(row(web))


def test_a_mirror_folder_is_asked_first(web, tmp_path, monkeypatch):
    monkeypatch.setenv("SLMZOO_MIRROR", str(tmp_path))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    (tmp_path / "model.bin").write_bytes(CONTENT)
    assert get(row(web)).read_bytes() == CONTENT
    assert web.requests == []


@pytest.mark.parametrize("held", [None, OTHER])
def test_a_mirror_without_the_right_file_is_passed_over(web, tmp_path, monkeypatch, held):
    monkeypatch.setenv("SLMZOO_MIRROR", str(tmp_path))
    if held is not None:
        (tmp_path / "model.bin").write_bytes(held)
    assert get(row(web)).read_bytes() == CONTENT


def test_a_mirror_url_is_asked_first_and_passed_over_when_it_fails(web, monkeypatch):
    with Web(CONTENT) as mirror:
        monkeypatch.setenv("SLMZOO_MIRROR", f"{mirror.url}/files/")
        get(row(web))
        assert (mirror.requests, web.requests) == ([("/files/model.bin", None)], [])
        mirror.script = [Reply(status=404, body=b"")]
        get(row(web, name="second.bin"))
        assert web.requests == [("/v1/second.bin", None)]


def test_a_part_of_the_mirror_is_not_continued_with_the_origin(web, monkeypatch):
    with Web(OTHER) as mirror:
        mirror.script = [Reply(cut=100_000)] + [Reply(cut=0)] * 2
        monkeypatch.setenv("SLMZOO_MIRROR", mirror.url)
        assert get(row(web)).read_bytes() == CONTENT
        assert web.requests == [("/v1/model.bin", None)]


@pytest.mark.parametrize("mirror", ["", "http://127.0.0.1:9/files"])
def test_offline_never_touches_the_network(web, monkeypatch, mirror):
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    monkeypatch.setenv("SLMZOO_MIRROR", mirror)
    with pytest.raises(OfflineError, match="forbids the network"):
        get(row(web))
    assert web.requests == []
    cache_folder().mkdir(parents=True, exist_ok=True)
    (cache_folder() / "model.bin").write_bytes(CONTENT)
    assert get(row(web)).read_bytes() == CONTENT


@pytest.mark.parametrize(("name", "value"), [("SLMZOO_OFFLINE", "maybe"), ("SLMZOO_MIRROR", "ftp://host/files")])
def test_settings_that_mean_nothing(web, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=name):
        get(row(web))


def chain(error: BaseException) -> list[BaseException]:
    """An error and those that its traceback shows before it."""
    shown = [error]
    while (before := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        shown.append(before)
        error = before
    return shown


def test_no_server_at_all():
    with pytest.raises(FetchError, match=r"connection broke.*3 attempts.*--zoo demo") as stopped:
        get("http://127.0.0.1:9/model.bin")
    assert "bytes" not in str(stopped.value)
    assert len(chain(stopped.value)) == 1


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "Temporary failure"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable"),
    ],
)
def test_a_server_that_cannot_be_found_is_told_at_once_with_ways_out(monkeypatch, caplog, error, advice):
    asked = []

    def lookup(host, *_args, **_options):
        asked.append(host)
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(FetchError) as stopped:
        get("https://github.com/owner/model.bin")
    message = str(stopped.value)
    assert message.startswith("Could not download https://github.com/owner/model.bin: github.com was not found (")
    assert advice in message
    assert all(
        way in message for way in ("--zoo demo", 'zoo="demo"', "slmzoo fetch", "SLMZOO_MIRROR", "SLMZOO_OFFLINE")
    )
    assert "\n" not in message
    assert asked == ["github.com"]
    assert caplog.messages == []
    assert len(chain(stopped.value)) == 1


def test_another_error_of_the_system_is_tried_again(web, monkeypatch):
    lookup, failures = socket.getaddrinfo, [OSError(errno.ECONNRESET, "Connection reset by peer")]

    def once(*args, **options):
        if failures:
            raise failures.pop()
        return lookup(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    assert get(row(web)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "address",
    [
        "ftp://host/model.pt",
        "file:///etc/passwd",
        "http://host/",
        "http://host/..",
        "http://host/%2e%2e",
        "http://host/a%2f..%2f.bashrc",
        "http://host/..%5Cx.pt",
        "hf://owner/model.pt",
        "hf://owner/repo/../../x.pt",
        "hf://owner/repo/a//x.pt",
        "package://os",
        "package://slmzoo.demo/../zoo.json",
        "",
        3,
    ],
)
def test_addresses_that_are_refused(address):
    with pytest.raises(ValueError, match="must be"):
        resolve(address)


def test_local_files_and_package_data(tmp_path, monkeypatch):
    (tmp_path / "my model.pt").write_bytes(CONTENT)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve(str(tmp_path / "my model.pt")) == resolve(tmp_path / "my model.pt") == resolve("~/my model.pt")
    assert verify(tmp_path / "my model.pt") == DIGITS
    assert resolve("package://slmzoo.demo/zoo.json").name == "zoo.json"
    for missing in (tmp_path / "none.pt", "package://slmzoo.demo/none.pt", "package://no_such_package/x.pt"):
        with pytest.raises(FileNotFoundError):
            resolve(missing)


def test_hugging_face_addresses_respect_offline(monkeypatch, tmp_path):
    asked = {}

    def download(repo, file, *, revision, local_files_only):
        asked.update(repo=repo, file=file, revision=revision, local_files_only=local_files_only)
        (tmp_path / "x.safetensors").write_bytes(CONTENT)
        return str(tmp_path / "x.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    assert resolve("hf://lab/zoo@v1/sub/x.safetensors").read_bytes() == CONTENT
    assert asked == {"repo": "lab/zoo", "file": "sub/x.safetensors", "revision": "v1", "local_files_only": True}
    wrong = Row(zoo="mine", kind="ulm", url="hf://lab/zoo/x.safetensors", sha256="0" * 64)
    with pytest.raises(DigestError):
        resolve(wrong)


def test_hugging_face_without_the_file_and_without_network(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    with pytest.raises(OfflineError, match="SLMZOO_OFFLINE"):
        resolve("hf://lab/surely-not-cached/x.safetensors")
    with pytest.raises(OfflineError):
        verify("hf://lab/surely-not-cached/x.safetensors")


def test_files_of_the_package_and_of_ones_own_are_called_so(tmp_path):
    shipped = status(Row(zoo="demo", kind="ulm", url="package://slmzoo.demo/ulm.safetensors"))
    assert (shipped.state, shipped.size) == ("shipped", shipped.path.stat().st_size)
    (tmp_path / "ulm.safetensors").write_bytes(CONTENT)
    own = Row(zoo="mine", kind="ulm", url=str(tmp_path / "ulm.safetensors"))
    assert (status(own).state, status(own).size) == ("own", len(CONTENT))
    assert status(replace(own, sha256=DIGITS)).state == "verified"
    assert status(replace(own, url=str(tmp_path / "gone.safetensors"))).state == "absent"


def test_names_that_several_published_files_have_are_kept_apart(web, tmp_path, monkeypatch):
    one, other = (Wanted(url=f"{web.url}/{folder}/config.json", shared=True) for folder in ("a", "b"))
    assert one.path != other.path
    assert (one.path.name[-11:], one.name) == ("config.json", "config.json")
    monkeypatch.setenv("SLMZOO_MIRROR", str(tmp_path))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    for wanted in (one, other):
        (tmp_path / wanted.path.name).write_text(wanted.url)
    assert [obtain(wanted, progress=False).read_text() for wanted in (one, other)] == [one.url, other.url]
