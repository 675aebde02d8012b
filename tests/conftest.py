from __future__ import annotations

import pytest

GATED = {"slow": "--slow", "gpu": "--gpu", "network": "--network"}


def pytest_addoption(parser: pytest.Parser) -> None:
    for marker, option in GATED.items():
        parser.addoption(option, action="store_true", help=f"also run the tests marked {marker}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for marker, option in GATED.items():
            # Keywords also have the names of folders: a clone in one named gpu would run nothing.
            if item.get_closest_marker(marker) and not config.getoption(option):
                item.add_marker(pytest.mark.skip(reason=f"needs {option}"))


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests never reach the internet unless they say so; the loopback stays open."""
    if request.node.get_closest_marker("network") is None:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
