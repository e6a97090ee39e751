"""What holds for every test: one thread, no network, no state left in the environment."""

import os
import socket
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts; two cores, two pytest workers

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("perpixel", deadline=None)  # a busy machine is no failure
settings.load_profile("perpixel")

_LOCAL = ("localhost", "127.0.0.1", "::1")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection beyond this machine: a test that downloads is not a test."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in _LOCAL:
            raise AssertionError(f"a test tried to connect to {address[0]}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """Undo a change of PyTorch's thread count."""
    yield
    torch.set_num_threads(1)
