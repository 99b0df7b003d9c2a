"""Files of lines that any number of processes append to, and that take bounded room.

Each line is one write to a file that is opened for appending, so that lines of several processes
do not mix, and a line that was written is there whatever befalls the process. Whoever finds the
file full gives way to an empty one, under a lock; a process that had the full one open just then
writes its line there.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

MOST_BYTES = 8 * 2**20
KEPT = 2
LOCK_SECONDS = 2.0


class LineFile:
    """A log: the file that is written now, and the full ones before it."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES, kept: int = KEPT):
        """Opens nothing yet.

        Args:
            path: of the file that is written.
            most_bytes: in one file.
            kept: full files beside it.
        """
        self.path = path
        self._most_bytes = most_bytes
        self._kept = kept

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files, the newest lines first; not all need be there."""
        return log_parts(self.path, self._kept)

    def append(self, line: str) -> None:
        """Appends a line, with one write.

        Raises:
            OSError: it cannot be written.
        """
        content = line.encode("utf-8", "replace") + b"\n"
        descriptor = self._open()
        try:
            size = os.fstat(descriptor).st_size
            if size and size + len(content) > self._most_bytes:
                os.close(descriptor)
                self._rotate(len(content))
                descriptor = self._open()
                size = os.fstat(descriptor).st_size
            if size and _last_byte(descriptor, size) != b"\n":
                # Torn by a full disk or a power cut, or text of a crash: not to be added to.
                content = b"\n" + content
            os.write(descriptor, content)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        self.path.parent.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        return os.open(self.path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)

    def _rotate(self, num_bytes: int) -> None:
        """Puts the full file aside, unless another process has just done so."""
        from filelock import FileLock, Timeout

        newest, *older = self.parts
        try:
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=LOCK_SECONDS):
                if newest.stat().st_size + num_bytes <= self._most_bytes:
                    return
                for source, target in reversed(list(zip(self.parts, older, strict=False))):
                    if source.exists():
                        source.replace(target)
        except (Timeout, OSError):
            # A line too much is better than none.
            return


class LineHandler(logging.Handler):
    """Writes records to a LineFile; what cannot be written is lost, and nothing else fails."""

    def __init__(self, file: LineFile):
        super().__init__()
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Appends the record's line."""
        try:
            self.file.append(self.format(record))
        except (OSError, ValueError, RecursionError):
            return


def log_parts(path: Path, kept: int = KEPT) -> tuple[Path, ...]:
    """Returns the files of the log whose newest lines are in `path`, the newest first."""
    older = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in range(1, kept + 1))
    return (path, *older)


def existing(parts: Sequence[Path]) -> list[Path]:
    """Returns those of some files that are there."""
    return [part for part in parts if part.is_file()]


def _last_byte(descriptor: int, size: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, 1, size - 1)
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)
