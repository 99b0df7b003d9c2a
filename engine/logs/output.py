"""What processes print, kept as it is in a file that takes bounded room."""

import os
import stat
import threading
from pathlib import Path

MOST_BYTES = 16 * 2**20
LEFT_BYTES = 8 * 2**20
LOOK_SECONDS = 2.0
CUT = b"[what was printed before was cut away]\n"


def cut_output(file: Path, most_bytes: int = MOST_BYTES, left_bytes: int = LEFT_BYTES) -> bool:
    """Cuts the beginning of a file away where it is too large; returns whether it did.

    Processes that append to it go on doing so; what they print in the very moment may be lost.
    """
    try:
        if file.stat().st_size <= most_bytes:
            return False
        with file.open("r+b") as opened:
            opened.seek(-left_bytes, os.SEEK_END)
            left = opened.read()
            opened.seek(0)
            opened.truncate()
            opened.write(CUT + left.partition(b"\n")[2])
    except OSError:
        return False
    return True


def watch_output(home: Path) -> None:
    """Has a thread keep the file bounded that this process prints to, where it is Thaw's."""
    file = _printed_to()
    if file is not None and file.is_relative_to(home.resolve()):
        threading.Thread(target=_watch, args=(file,), name="output-watcher", daemon=True).start()


def tail(file: Path, num_bytes: int) -> str:
    """Returns the end of a file as text, from the beginning of a line on; empty without a file."""
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - num_bytes))
            content = opened.read(num_bytes)
    except OSError:
        return ""
    if size > num_bytes:
        content = content.partition(b"\n")[2] or content
    return content.decode("utf-8", "replace")


def _printed_to() -> Path | None:
    """Returns the file that stderr goes to, None where it goes elsewhere."""
    try:
        descriptor = 2
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        # Windows does not tell the path, and would not cut a file that is open.
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    except OSError:
        return None


def _watch(file: Path) -> None:
    waiting = threading.Event()
    while not waiting.wait(LOOK_SECONDS):
        cut_output(file)
