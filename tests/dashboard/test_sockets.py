"""Whoever stops reading is dropped by the kernel, and nobody else is."""

import socket
import sys
import time
from collections.abc import Iterator

import pytest

from dashboard.sockets import DROP_SECONDS, drop_the_silent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be told")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def connect(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Returns both ends of a connection: the server's and the page's."""
    page = socket.create_connection(listener.getsockname())
    served, _ = listener.accept()
    served.setblocking(False)
    return served, page


def send_until(served: socket.socket, seconds: float) -> OSError | None:
    """Sends all that goes out for a while; returns what ended the connection, if something did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            served.send(bytes(65536))
        except BlockingIOError:
            time.sleep(0.02)
        except OSError as error:
            return error
    return None


def test_what_connects_is_dropped_after_half_a_minute(listener: socket.socket) -> None:
    assert drop_the_silent() >= 1
    served, page = connect(listener)
    with served, page:
        waits = served.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert waits == 1000 * DROP_SECONDS
        assert served.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_a_page_that_stops_reading_is_dropped(listener: socket.socket) -> None:
    drop_the_silent(0.5)
    served, page = connect(listener)
    with served, page:
        assert isinstance(send_until(served, 20), TimeoutError)


def test_a_page_that_has_nothing_to_read_is_kept(listener: socket.socket) -> None:
    drop_the_silent(0.2)
    served, page = connect(listener)
    with served, page:
        time.sleep(1.0)
        served.send(b"still here")
        assert page.recv(100) == b"still here"
