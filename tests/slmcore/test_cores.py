from __future__ import annotations

import os

import pytest

from slmcore import cores

V1 = "12:pids:/x\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/y\n"


@pytest.mark.parametrize(
    ("cgroup", "files", "quota"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "20000 10000\n"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3.0),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "300000 100000\n"}, 3.0),
        ("0::/a/b\n", {"a/b/cpu.max": "100000 100000\n", "a/cpu.max": "300000 100000\n"}, 1.0),
        ("0::/host/docker-abc.scope\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/../outside\n", {"cpu.max": "50000 100000\n", "outside/cpu.max": "100 100000"}, 0.5),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("0::/\n", {"cpu.max": "100000 0\n"}, None),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, None),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 2.5),
        (V1, {"cpu/docker/abc/cpu.cfs_quota_us": "100000\n", "cpu/docker/abc/cpu.cfs_period_us": "50000\n"}, 2.0),
        ("4:cpuacct:/\n3:cpuset:/\n", {"cpu.max": "100000 100000\n"}, None),
        ("", {"cpu.max": "100000 100000\n"}, None),
    ],
)
def test_quota_of_a_container(tmp_path, cgroup, files, quota):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert cores.quota(tmp_path) == quota


def test_no_control_groups_no_quota(tmp_path):
    assert cores.quota(tmp_path) is None


@pytest.mark.parametrize(("limit", "expected"), [(None, 8), (0.5, 1), (1.9, 1), (2.0, 2), (3.7, 3), (64.0, 8)])
def test_quotas_are_rounded_down_to_whole_cores(limit, expected):
    assert cores.usable(8, limit) == expected


def test_affinity_counts_and_where_it_is_not_known_all_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 3, 5}, raising=False)
    assert cores.affinity() == 3
    assert 1 <= cores.available() <= 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert cores.affinity() == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.affinity() == 1
