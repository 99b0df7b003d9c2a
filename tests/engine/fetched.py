"""Data sets as torchvision would have fetched them."""

import functools
import http.server
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torchvision import datasets

from engine.data.decode import decode_image
from engine.data.fetching import fetch
from engine.errors import DataError
from tests.engine.downloaded import LAYOUTS, Expected, Maker, md5


def pixels_in(folder: Path) -> Expected:
    found: Expected = {}
    for file in sorted(folder.rglob("*.*")):
        if file.is_file() and not file.name.startswith("."):
            pixels = decode_image(file).tobytes()
            found.setdefault(str(file.parent.relative_to(folder)), []).append(pixels)
    return found


def in_order(expected: Expected) -> Expected:
    return {folder: sorted(pixels) for folder, pixels in sorted(expected.items())}


def refusal(name: str) -> str:
    with pytest.raises(DataError) as caught:
        fetch(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def nothing_new(thaw_home: Path) -> bool:
    datasets_folder = thaw_home / "datasets"
    return not datasets_folder.exists() or not list(datasets_folder.iterdir())


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves files; breaks off, or refuses, where it is told to."""

    torn: bool = False
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if not self.torn:
            super().do_GET()
            return
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path, type[Server]]]:
    """A server: its address, its folder, and its handler."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = type("Handler", (Server,), {"asked": [], "torn": False})
    make = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder, handler
        server.shutdown()
        thread.join()


@pytest.fixture
def archive(
    site: tuple[str, Path, type[Server]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Path, Expected]:
    """DTD's archive on the server, and what is to come of it."""
    make = Maker(monkeypatch)
    LAYOUTS["dtd"](tmp_path / "made", make)
    address, folder, _ = site
    file = folder / "dtd-r1.0.1.tar.gz"
    with tarfile.open(file, "w:gz") as packed:
        packed.add(tmp_path / "made" / "dtd" / "dtd", "dtd")
    monkeypatch.setattr(datasets.DTD, "_URL", f"{address}/{file.name}")
    monkeypatch.setattr(datasets.DTD, "_MD5", md5(file))
    return file, make.expected
