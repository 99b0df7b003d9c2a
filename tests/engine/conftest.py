"""Fixtures for the engine's tests."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import torch

LOCAL = {"localhost", "127.0.0.1", "::1"}


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Computes in one thread, here and in the processes that tests start.

    The work of these tests is tiny: several threads gain nothing on it, and on a busy machine they
    wait for each other many times as long as it takes.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(num_threads)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but this machine can be looked up, as where there is no network."""
    real = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **named: Any) -> Any:
        if host not in LOCAL:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **named)

    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
