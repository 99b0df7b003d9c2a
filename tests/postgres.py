"""A PostgreSQL server of the tests' own: a temporary folder, a Unix socket, no port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

PROGRAMS = Path("/usr/lib/postgresql")
START_SECONDS = 60.0
# What survives a power cut costs time, and nothing here is to survive one.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "autovacuum": "off",
}


def postgres_programs() -> Path | None:
    """Returns the folder of the newest PostgreSQL's programs, or None where there is none."""
    found = [file.parent for file in PROGRAMS.glob("*/bin/initdb")]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


def _user() -> str | None:
    """Returns whom the server is to run as, where that is not who runs the tests: root may not."""
    if os.getuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Server:
    """A server that runs from `start` to `stop`; as often as one likes.

    Attributes:
        folder: of its files and its socket.
    """

    def __init__(self, programs: Path) -> None:
        """Makes its files, which takes a second."""
        self._programs = programs
        self._user = _user()
        # The path of a socket is short, whatever the folder of the tests.
        self.folder = Path(tempfile.mkdtemp(prefix="thaw-pg-", dir="/tmp"))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        options = ("--auth=trust", "--username=thaw", "--encoding=UTF8", "--no-sync")
        subprocess.run(
            [*self._as_user(), *self._program("initdb"), *options],
            capture_output=True,
            cwd="/",
            check=True,
        )

    def url(self, database: str) -> str:
        """Returns the address of one of its databases."""
        return f"postgresql+psycopg://thaw@/{database}?host={self.folder}"

    def start(self) -> None:
        """Starts it and returns when it answers; it ends with the thread that starts it."""
        settings = SETTINGS | {"unix_socket_directories": str(self.folder)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user("--pdeathsig", "INT"), *self._program("postgres"), *options],
                stdout=log,
                stderr=log,
                cwd="/",
            )
        deadline = time.monotonic() + START_SECONDS
        address = self.url("postgres").replace("+psycopg", "")
        while True:
            try:
                psycopg.connect(address).close()
                return
            except psycopg.OperationalError:
                written = (self.folder / "server.log").read_text(errors="replace")
                assert self._process.poll() is None, written
                assert time.monotonic() < deadline, written
                time.sleep(0.05)

    def stop(self) -> None:
        """Cuts off all who are connected and ends it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(START_SECONDS) == 0

    def remove(self) -> None:
        """Ends it and removes its files."""
        self.stop()
        shutil.rmtree(self.folder)

    def _program(self, name: str) -> list[str]:
        return [str(self._programs / name), "-D", str(self.folder / "data")]

    def _as_user(self, *more: str) -> list[str]:
        ids = ["--reuid", self._user, "--clear-groups"] if self._user else []
        return ["setpriv", *ids, *more]
