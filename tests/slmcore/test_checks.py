from __future__ import annotations

import numpy as np
import pytest
import torch

from slmcore.checks import as_int, whole


@pytest.mark.parametrize(
    "value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3), torch.tensor(3, dtype=torch.int8)]
)
def test_whole_numbers_of_any_type_become_int(value):
    assert type(as_int(value)) is int
    assert whole("n", value, 3) == 3
    with pytest.raises(ValueError, match=r"`n` must be a whole number >= 4"):
        whole("n", value, 4)


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), torch.tensor(True), 3.0, np.float32(3), torch.tensor([3]), "3", None, [3]]
)
def test_what_is_no_whole_number_is_refused(value):
    assert as_int(value) is None
    with pytest.raises(ValueError, match=r"`seed` must be 64 bits, but is .*Use 0\."):
        whole("seed", value, 0, "64 bits", "Use 0.")
