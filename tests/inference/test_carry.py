"""Tensors in a file are those that were put there."""

from pathlib import Path

import torch

from perpixel.inference.carry import DiskCarry


def test_what_is_put_comes_back_and_may_be_replaced(tmp_path: Path) -> None:
    with DiskCarry(tmp_path / "carry") as carry:
        tensors = {key: torch.rand(3, 4, 5 + key) for key in range(3)}
        carry.update(tensors)
        length = (tmp_path / "carry").stat().st_size
        tensors[1] = torch.rand(3, 4, 6)
        carry[1] = tensors[1]
        assert (tmp_path / "carry").stat().st_size == length  # in its place
        tensors[2] = torch.rand(9, 1, 1)
        carry[2] = tensors[2]  # of another size
        assert all(torch.equal(carry[key], tensor) for key, tensor in tensors.items())
        assert carry.keys() == tensors.keys()
    assert not (tmp_path / "carry").exists()


def test_parts_of_a_larger_tensor_are_stored_as_they_look(tmp_path: Path) -> None:
    whole = torch.rand(3, 10, 10)
    with DiskCarry(tmp_path / "carry") as carry:
        carry[0] = whole[:, 2:5, ::2]
        assert torch.equal(carry[0], whole[:, 2:5, ::2])
