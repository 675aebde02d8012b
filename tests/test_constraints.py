"""Pins of constraints.txt: one for each package that slmzoo asks for, on every Python that it supports."""

from __future__ import annotations

import runpy
from collections import Counter
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement

from tests.test_architecture import ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
UNPINNED = {"xformers"}  # each of its versions asks for one of torch


def pins(python: str) -> list[Requirement]:
    """The lines of constraints.txt whose markers hold on a Python such as "3.10"."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return [pin for pin in found if pin.marker is None or pin.marker.evaluate(environment)]


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of `setup` in setup.py; an installed copy's metadata may be older."""
    options: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", options.update)
    runpy.run_path(str(ROOT / "setup.py"))
    return options


def name(requirement: Requirement) -> str:
    return requirement.name.lower().replace("_", "-")


@pytest.mark.parametrize("python", PYTHONS)
def test_no_package_is_pinned_twice_and_none_to_a_range(python):
    found = pins(python)
    assert set(Counter(map(name, found)).values()) == {1}
    assert all(str(pin.specifier).startswith("==") for pin in found)


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_a_pin_that_satisfies_it(python, setup):
    extras = [text for texts in setup["extras_require"].values() for text in texts]
    asked = [Requirement(text) for text in [*setup["install_requires"], *extras]]
    pinned = {name(pin): str(pin.specifier).removeprefix("==") for pin in pins(python)}
    assert {name(each) for each in asked} - set(pinned) == UNPINNED
    unmet = [str(each) for each in asked if name(each) in pinned and pinned[name(each)] not in each.specifier]
    assert unmet == []


def test_the_pythons_are_those_of_the_classifiers(setup):
    named = {each.removeprefix("Programming Language :: Python :: ") for each in setup["classifiers"]}
    assert {each for each in named if each.startswith("3.")} == set(PYTHONS)
