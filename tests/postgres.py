"""A PostgreSQL server of the tests' own: a temporary folder, a Unix socket, no port."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql")
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
        self._call("initdb", "--auth=trust", "--username=thaw", "--encoding=UTF8", "--no-sync")

    def url(self, database: str) -> str:
        """Returns the address of one of its databases."""
        return f"postgresql+psycopg://thaw@/{database}?host={self.folder}"

    def start(self) -> None:
        """Starts it and returns when it answers."""
        options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
        options += f" -c unix_socket_directories='{self.folder}'"
        log = str(self.folder / "server.log")
        self._call("pg_ctl", "--wait", "--log", log, "--options", options, "start")

    def stop(self) -> None:
        """Cuts off all who are connected and ends it."""
        self._call("pg_ctl", "--wait", "--mode=fast", "stop")

    def remove(self) -> None:
        """Ends it and removes its files."""
        self.stop()
        shutil.rmtree(self.folder)

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "--pgdata", str(self.folder / "data")]
        if self._user is not None:
            command = ["runuser", "-u", self._user, "--", *command]
        # What the server inherits it keeps open, so its output goes to a file.
        with (self.folder.parent / f"{self.folder.name}.out").open("w+b") as output:
            Path(output.name).unlink()
            done = subprocess.run(
                [*command, *arguments], stdout=output, stderr=output, cwd="/", check=False
            )
            output.seek(0)
            assert done.returncode == 0, output.read().decode(errors="replace")
