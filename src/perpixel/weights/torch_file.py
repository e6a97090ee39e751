"""Read tensors from what `torch.save` wrote: the zip archives of today and the bare pickles before PyTorch 1.6.

A pickle can run any program. PyTorch's restricted reader, which knows tensors and plain containers and nothing
else, is the only one used here; what it refuses is refused.

Files older still, tar archives from before PyTorch 0.1.12, it cannot read. They are refused with advice.
"""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perpixel.errors import WeightsError

MOST_PICKLE = 64 << 20  # bytes; the description of the tensors, without their numbers
MOST_SHARED = 4  # tensors that share numbers may add up to this many times the file
NESTED = ("state_dict", "model_state_dict", "model", "net", "module", "weights")
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel, of torch.compile


def read_torch(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a state dict, on the CPU, by name.

    A checkpoint that holds one among other things is looked into; `module.` before every name is taken off.

    Raises:
        WeightsError: The file is damaged, holds more than tensors and plain values, or no tensors.
    """
    archive = zipfile.is_zipfile(path)
    if archive:
        _require_plain_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are not PyTorch's; they are read or refused
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # damaged bytes raise whatever they happen to
        raise WeightsError(_refusal(path, error)) from None
    return _own_copies(path, _without_prefix(_state(path, held)))


def _require_plain_archive(path: Path) -> None:
    """Refuse an archive that would be larger in memory than on the disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(_refusal(path, error)) from None
    for member in members:
        compressed = member.compress_type != zipfile.ZIP_STORED
        if compressed or (member.filename.endswith(".pkl") and member.file_size > MOST_PICKLE):
            raise WeightsError(
                f"read_torch: expected {path} to be as torch.save writes it, got {member.filename!r} "
                f"{'compressed' if compressed else 'of ' + format(member.file_size, ',') + ' bytes'}. "
                "Save it again with torch.save."
            )


def _state(path: Path, held: Any) -> dict[str, Tensor]:
    for _ in range(2):
        if not isinstance(held, dict):
            break
        tensors = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
        held = next((held[name] for name in NESTED if isinstance(held.get(name), dict)), None)
    raise WeightsError(
        f"read_torch: expected {path} to hold tensors by name, got none. Save a state dict: "
        "torch.save(network.state_dict(), FILE)."
    )


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _own_copies(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy out of the file; strides of 0 must not make a terabyte of four bytes."""
    size = sum(value.numel() * value.element_size() for value in state.values())
    if size > MOST_SHARED * path.stat().st_size:
        raise WeightsError(
            f"read_torch: expected {path} to hold its numbers, got {size:,} bytes from a file of "
            f"{path.stat().st_size:,}. Save the tensors with .contiguous()."
        )
    if any(value.layout != torch.strided or value.is_quantized for value in state.values()):
        raise WeightsError(f"read_torch: expected dense tensors in {path}, got sparse or quantised ones. Convert them.")
    return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def _refusal(path: Path, error: Exception) -> str:
    text = str(error)
    if "legacy .tar format" in text or "tar" in text.lower().split():
        return (
            f"read_torch: {path} is a tar archive from before PyTorch 0.1.12, which cannot be read safely. Where you "
            "trust it, load it with an old PyTorch and save it again with torch.save."
        )
    if (isinstance(error, pickle.UnpicklingError) and "Unsupported" in text) or "weights_only" in text.lower():
        reason = "it holds more than tensors and plain values"
    else:
        reason = (text.splitlines() or [type(error).__name__])[0][:200]
    return (
        f"read_torch: {path} cannot be read ({reason}). Give a file of tensors, as torch.save(network.state_dict(), "
        "FILE) writes it; if it is one, download it again."
    )
