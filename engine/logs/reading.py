"""Reads logs from their end, so that a large one costs no more than a small one."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from engine.logs.lines import TEXT_EVENT, LogEntry, read_line, severity

BLOCK = 64 * 2**10
# Longer ones are none of ours.
MOST_LINE = 2**20
# How far back one look goes for entries of a level that are rare.
MOST_BYTES = 64 * 2**20


def last_entries(
    files: Sequence[Path], count: int, level: str = "DEBUG"
) -> tuple[list[LogEntry], bool]:
    """Returns the last entries of a log, the newest last, and whether there are earlier ones.

    Args:
        files: of the log, the newest lines first.
        count: of entries at most.
        level: the least.
    """
    found: list[LogEntry] = []
    for entry in _joined(_backwards(files)):
        if entry.severity < severity(level):
            continue
        if len(found) == count:
            return found[::-1], True
        found.append(entry)
    return found[::-1], False


class Follower:
    """Gives what is added to a log, while it is moved aside and begun anew, too."""

    def __init__(self, path: Path):
        """Begins at the present end.

        Args:
            path: of the file with the newest lines, which need not be there yet.
        """
        self._path = path
        self._rest = b""
        self._opened: IO[bytes] | None = self._open()
        if self._opened is not None:
            self._opened.seek(0, os.SEEK_END)

    def new_entries(self) -> list[LogEntry]:
        """Returns the entries whose lines were completed since this was last called."""
        lines = self._read()
        if self._was_moved():
            # What was added to the old file between the two looks.
            lines += self._read()
            self.close()
            self._opened, self._rest = self._open(), b""
            lines += self._read()
        entries = (read_line(line) for line in lines)
        return [entry for entry in entries if entry is not None]

    def close(self) -> None:
        """Closes the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _open(self) -> IO[bytes] | None:
        try:
            return self._path.open("rb")
        except OSError:
            return None

    def _was_moved(self) -> bool:
        try:
            now = self._path.stat()
        except OSError:
            return False
        if self._opened is None:
            return True
        return not os.path.samestat(now, os.fstat(self._opened.fileno()))

    def _read(self) -> list[bytes]:
        if self._opened is None:
            return []
        *lines, self._rest = (self._rest + self._opened.read()).split(b"\n")
        return lines


def _backwards(files: Sequence[Path]) -> Iterator[LogEntry]:
    """Yields the entries of a log, the newest first; what is torn is left out."""
    left = MOST_BYTES
    for file in files:
        try:
            with file.open("rb") as opened:
                for line in _lines_backwards(opened, left):
                    left -= len(line)
                    entry = read_line(line)
                    if entry is not None:
                        yield entry
        except OSError:
            continue
        if left <= 0:
            return


def _lines_backwards(opened: IO[bytes], most_bytes: int) -> Iterator[bytes]:
    """Yields the lines of a file, the last first, holding no more than a block and a line."""
    at = opened.seek(0, os.SEEK_END)
    stop = max(0, at - most_bytes)
    rest, is_too_long = b"", False
    while at > stop:
        start = max(0, at - BLOCK)
        opened.seek(start)
        first, *lines = (opened.read(at - start) + rest).split(b"\n")
        at = start
        if is_too_long and lines:
            # The end of this one was let go of.
            lines.pop()
            is_too_long = False
        yield from reversed(lines)
        is_too_long = is_too_long or len(first) > MOST_LINE
        rest = b"" if is_too_long else first
    if at == 0 and not is_too_long:
        yield rest


def _joined(entries: Iterator[LogEntry]) -> Iterator[LogEntry]:
    """Yields entries, the newest first, with the lines of a plain text as one of them."""
    text: list[str] = []
    for entry in entries:
        if entry.event == TEXT_EVENT and entry.time is None:
            if len(text) < 1000:
                text.append(str(entry.fields["text"]))
            continue
        if text:
            yield _text_entry(text)
            text = []
        yield entry
    if text:
        yield _text_entry(text)


def _text_entry(lines_backwards: Sequence[str]) -> LogEntry:
    first, *others = reversed(lines_backwards)
    entry = LogEntry(None, "CRITICAL", TEXT_EVENT, fields={"text": first})
    told = {"traceback": "\n".join((first, *others))} if others else {}
    return replace(entry, fields=entry.fields | told)
