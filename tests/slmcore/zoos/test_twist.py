from __future__ import annotations

from collections import Counter

import pytest

from slmcore.files import registry
from slmcore.files.fetch import _wanted, fetch
from slmcore.files.rows import Row

ROWS = registry.rows("twist")


def test_each_vocoder_has_its_config_unless_it_is_an_archive():
    def files(kind: str) -> dict[str | None, str]:
        return {row.variant: row.url for row in ROWS if row.kind == kind}

    weights, configs = files("unit_hifigan"), files("unit_hifigan_config")
    assert len(weights) == 12
    archives = {variant for variant, url in weights.items() if url.endswith(".tar.gz")}
    assert weights.keys() - configs.keys() == archives
    assert len(archives) == 3
    for variant, url in configs.items():
        assert url.rpartition("/")[0] == weights[variant].rpartition("/")[0]
    assert files("unit_hifigan_speakers").keys() == files("unit_hifigan_styles").keys()
    assert len(files("unit_hifigan_styles")) == 4


def test_the_pipelines_parts_are_of_one_operating_point():
    found = [registry.find(kind, zoo="twist", k=500, lmbda=0) for kind in ("codebook", "twist_ulm", "unit_hifigan")]
    assert [row.variant for row in found] == [None, "350M", "lj_mhubert_base_25hz"]
    for row in found:
        assert (row.k, row.encoder, row.layer, row.frame_rate) == (500, "mhubert_base_25hz", 11, 25.0)
    assert found[0].sha256.startswith("03cc04a9")
    assert registry.find("twist_ulm", zoo="twist", variant="1.3B").url.endswith("/twist/lms/TWIST-1.3B.zip")
    points = {point.k for point in registry.operating_points("twist")}
    assert points == {100, 500, 1000, 2000, 2500}


def test_all_names_that_files_share_are_kept_apart_in_the_cache():
    names = Counter(row.file for row in {row.url: row for row in registry.built_in_rows()}.values())
    assert registry.shared_names() == {name for name, n in names.items() if n > 1} >= {"generator.pt", "config.json"}
    remote = [row for row in registry.built_in_rows() if row.url.startswith("http")]
    paths = {_wanted(row).path: row.url for row in remote}
    assert len(paths) == len({row.url for row in remote})
    twist = registry.find("unit_hifigan", zoo="twist")
    assert _wanted(twist).path.name == twist.file == "hifigan_lj_mhubert_base_25hz.pt"


def test_a_mirror_has_shared_names_under_those_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLMZOO_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    (tmp_path / "mirror").mkdir()
    rows = [row for row in ROWS if row.file == "g_00500000"]
    assert len(rows) == 4
    for row in rows:
        (tmp_path / "mirror" / _wanted(row).path.name).write_text(row.url)
    assert [fetch(row, progress=False).read_text() for row in rows] == [row.url for row in rows]
    (tmp_path / "mirror" / "TWIST-350M.zip").write_text("350")
    assert fetch(registry.find("twist_ulm", zoo="twist"), progress=False).read_text() == "350"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_rows_are_whole(row: Row):
    assert row.system == row.zoo == "twist"
    assert row.origin != "not stated"
    assert row.kind == "mhubert" or row.k
