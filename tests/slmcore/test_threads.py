from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from slmcore import cores, threads
from slmcore.layers.int8 import quantize_linears
from slmcore.layers.transformer import Transformer, TransformerConfig
from slmcore.threads import exactly_one, for_linears, for_products, one_unless_worth, within_quota, worth

CPU = torch.device("cpu")
WIDE = 1 << 20
SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A machine of four cores, which nobody has said anything about: the number of threads torch begins with."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: range(4), raising=False)
    monkeypatch.setattr(cores, "available", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield 4
    torch.set_num_threads(before)


def transformer(dim: int, hidden_dim: int) -> Transformer:
    heads = dim // 16
    config = TransformerConfig(
        dim=dim, hidden_dim=hidden_dim, n_layers=1, vocab_size=20, head_dim=16, n_heads=heads, n_kv_heads=heads
    )
    return Transformer(config).eval()


@pytest.mark.parametrize(
    ("rows", "weights", "expected"),
    [
        (1, WIDE - 1, False),
        (1, WIDE, True),
        (8, WIDE - 1, False),
        (9, WIDE - 1, True),
        (threads.LONG, 1, True),
        (threads.LONG - 1, 1, False),
    ],
)
def test_wide_products_and_long_ones_are_worth_several(rows, weights, expected):
    assert worth(rows, weights) is expected


def test_small_products_take_one_thread_and_the_number_comes_back(many):
    with for_products(CPU, 1, WIDE - 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == many
    with for_products(CPU, 1, WIDE):
        assert torch.get_num_threads() == many
    with pytest.raises(KeyboardInterrupt), for_products(CPU, 1, 1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == many


def test_the_quota_is_the_most(many, monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: 3)
    for context in (for_products(CPU, 1, WIDE), within_quota()):
        with context:
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == many


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_environment_says_stays(many, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    for context in (for_products(CPU, 1, 1), within_quota(), one_unless_worth(CPU)):
        with context:
            assert torch.get_num_threads() == many


@pytest.mark.parametrize("number", [3, 7])
def test_what_the_program_has_set_stays(many, number):
    torch.set_num_threads(number)
    with for_products(CPU, 1, 1), one_unless_worth(CPU):
        assert torch.get_num_threads() == number
    assert torch.get_num_threads() == number


def test_a_program_with_one_thread_gets_no_more(many):
    torch.set_num_threads(1)
    with for_products(CPU, 1, WIDE):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 1


def test_other_devices_change_nothing(many):
    with for_products(torch.device("cuda"), 1, 1):
        assert torch.get_num_threads() == many


def test_each_inner_block_has_what_its_own_work_is_worth(many):
    with one_unless_worth(CPU):
        with for_products(CPU, 1, WIDE):
            assert torch.get_num_threads() == many
            with for_products(CPU, 1, 1):
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == many
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == many


def test_exactly_one_is_one_all_the_way_down_and_for_users_too(many, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with exactly_one():
        assert torch.get_num_threads() == 1
        monkeypatch.delenv("OMP_NUM_THREADS")
        with for_products(CPU, 1, WIDE), within_quota():
            assert torch.get_num_threads() == 1
    with for_products(CPU, 1, WIDE):
        assert torch.get_num_threads() == many


@pytest.mark.parametrize("first_out", [0, 1])
def test_threads_of_a_program_may_leave_in_any_order(many, first_out):
    """Two that overlap: each has its own number back afterwards, and so has one that comes later."""
    inside = threading.Barrier(2)
    leave = [threading.Event(), threading.Event()]
    left = [threading.Event(), threading.Event()]

    def work(index: int) -> tuple[int, int]:
        with for_products(CPU, 1, 1):
            within = torch.get_num_threads()
            inside.wait(10)
            leave[index].wait(10)
        left[index].set()
        left[1 - index].wait(10)
        return within, torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(work, index) for index in range(2)]
        for index in (first_out, 1 - first_out):
            leave[index].set()
            left[index].wait(10)
        assert [future.result(10) for future in found] == [(1, many)] * 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result(10) == many
    assert torch.get_num_threads() == many


@pytest.mark.parametrize(("dim", "hidden_dim", "rows", "several"), [(64, 96, 1, False), (1024, 2048, 1, True)])
@pytest.mark.parametrize("int8", [False, True])
def test_linear_layers_by_their_width(many, dim, hidden_dim, rows, several, int8):
    model = transformer(dim, hidden_dim)
    if int8:
        try:
            quantize_linears(model, "int8")
        except RuntimeError as error:
            pytest.skip(str(error))
    with for_linears(model, rows):
        assert torch.get_num_threads() == (many if several else 1)


def test_long_input_is_worth_several_for_a_narrow_model(many):
    model = transformer(64, 96)
    sizes = [m.in_features * m.out_features for m in model.modules() if isinstance(m, nn.Linear)]
    enough = threads.LONG // (sum(sizes) // len(sizes))
    for rows, expected in ((enough, 1), (enough + 1, many)):
        with for_linears(model, rows):
            assert torch.get_num_threads() == expected
