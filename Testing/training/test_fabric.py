"""Threads of a training that shares its machine with the process that makes its patients."""

import pytest
import torch
from tokenunet.training.loop.fabric import core_left_for_patients


@pytest.mark.parametrize(("threads", "left"), [(4, 3), (1, 1)])
def test_one_core_is_left_for_patients_and_taken_back(threads: int, left: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with pytest.raises(KeyError), core_left_for_patients():
            assert torch.get_num_threads() == left
            raise KeyError
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
