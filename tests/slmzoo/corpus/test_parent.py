"""Workers end with their parent: nothing is computed for nobody, and nothing is said about it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENDLESS = """
import sys, time
from pathlib import Path
from slmzoo.corpus import plain, stages

def endless(decoded, models, provenance):
    Path(sys.argv[-1]).joinpath(str(__import__("os").getpid())).touch()
    while True:  # as the kernel that encodes an hour of speech
        pass

plain.encode = endless
if __name__ == "__main__":
    from slmzoo.cli import main
    main(sys.argv[1:-1])
"""


def is_there(process: int) -> bool:
    """Whether a process runs, and is not only still listed."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks up processes in /proc, which only Linux has")
@pytest.mark.parametrize("ended", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_workers_do_not_outlive_their_parent(speech_folder, registry, tmp_path, ended):
    (tmp_path / "endless.py").write_text(ENDLESS)
    working = tmp_path / "working"
    working.mkdir()
    options = ["--zoo", "tiny", "--device", "cpu", "--shard-minutes", "0.01", "--workers", "2"]
    command = [sys.executable, str(tmp_path / "endless.py"), "units", str(speech_folder), "--out", str(tmp_path / "o")]
    environment = {**os.environ, "SLMZOO_REGISTRY": str(registry), "SLMZOO_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([*command, *options, str(working)], env=environment, stderr=subprocess.PIPE, text=True)
    workers: list[int] = []
    try:
        deadline = time.monotonic() + 120
        while len(workers) < 2 and time.monotonic() < deadline and parent.poll() is None:
            workers = [int(path.name) for path in working.iterdir()]
            time.sleep(0.05)
        assert len(workers) == 2
        parent.send_signal(ended)
        parent.wait()
        deadline = time.monotonic() + 20
        while any(map(is_there, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(is_there, workers))
        assert parent.stderr is not None
        assert "Traceback" not in parent.stderr.read()
    finally:
        parent.kill()
        for worker in filter(is_there, workers):
            os.kill(worker, signal.SIGKILL)
