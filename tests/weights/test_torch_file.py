"""Files of `torch.save`, today's and yesterday's, and what is refused."""

import io
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from perpixel.errors import WeightsError
from perpixel.weights.torch_file import read_torch

STATE = OrderedDict({"features.0.weight": torch.randn(4, 3, 3, 3), "features.0.bias": torch.randn(4)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.pth"


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "pickle"])
def test_both_forms_of_a_state_dict_are_read(path: Path, archive: bool) -> None:
    """The file vgg16-397923af.pth is a bare pickle, torchvision's newer files are archives."""
    torch.save(STATE, path, _use_new_zipfile_serialization=archive)
    assert equal(read_torch(path), STATE)


@pytest.mark.parametrize("wrapped", [
    {"state_dict": STATE, "epoch": 3},
    {"module." + name: value for name, value in STATE.items()},
    {"model": {"module." + name: value for name, value in STATE.items()}, "optimizer": {"lr": 0.1}},
], ids=["checkpoint", "data parallel", "both"])  # fmt: skip
def test_a_state_dict_is_found_in_its_wrapping(path: Path, wrapped: dict[str, object]) -> None:
    torch.save(wrapped, path)
    assert equal(read_torch(path), STATE)


def test_what_is_read_does_not_hang_on_the_file(path: Path) -> None:
    torch.save(STATE, path)
    state = read_torch(path)
    state["features.0.bias"].fill_(7)
    path.write_bytes(b"")
    assert state["features.0.bias"].tolist() == [7.0] * 4


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a program in a pickle was run",))


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "pickle"])
def test_a_program_in_a_pickle_is_refused_and_not_run(path: Path, archive: bool) -> None:
    torch.save({"weight": Evil()}, path, _use_new_zipfile_serialization=archive)
    with pytest.raises(WeightsError, match="more than tensors"):
        read_torch(path)


def test_a_plain_pickle_is_refused(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weight": Evil()}))
    with pytest.raises(WeightsError, match="cannot be read"):
        read_torch(path)


def test_a_tar_archive_of_old_is_refused_with_advice(path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(pickle.dumps(0)))
    with pytest.raises(WeightsError, match="tar archive"):
        read_torch(path)


def test_a_compressed_archive_is_refused_before_it_is_unpacked(path: Path) -> None:
    torch.save({"x": torch.zeros(1 << 20)}, path)
    with zipfile.ZipFile(path) as archive:
        held = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in held.items():
            archive.writestr(member, data)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(WeightsError, match="compressed"):
        read_torch(path)


def test_a_number_that_claims_to_be_a_terabyte_is_refused(path: Path) -> None:
    torch.save({"x": torch.zeros(1).expand(1 << 38)}, path)
    with pytest.raises(WeightsError, match=r"expected .* to hold its numbers"):
        read_torch(path)


@pytest.mark.parametrize("held", [torch.zeros(3), [1, 2], {"epoch": 3}, {"state_dict": {"a": 1}}])
def test_a_file_without_names_and_tensors_says_what_to_save(path: Path, held: object) -> None:
    torch.save(held, path)
    with pytest.raises(WeightsError, match=r"torch\.save\(network\.state_dict"):
        read_torch(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("archive", [True, False], ids=["zip", "pickle"])
def test_half_a_file_is_refused(path: Path, archive: bool, share: float) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=archive)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match="read_torch"):
        read_torch(path)
