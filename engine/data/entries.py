"""What an archive holds, an entry after the other, however it is made.

Archives come from strangers: their headers are believed in nothing, and read no further than a
picture's name can be long.
"""

import contextlib
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Literal

from engine.errors import DataError

SUFFIXES_OF_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ZIP_HEADS = (b"PK\x03\x04", b"PK\x05\x06")
# A long name, or what pax says of an entry, is read whole; a name has some hundred bytes.
MOST_HEADER_BYTES = 2**20
# So is the list in a zip, of which each entry takes six times as much of the memory.
MOST_LIST_BYTES = 48 * 2**20
# After the last entry of a tar there are zeros, up to some unit of a tape.
MOST_TAIL_BYTES = 16 * 2**20
LONG_HEADERS = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    }
)


@dataclass(frozen=True)
class Entry:
    """Something in an archive, or among files that came together.

    Attributes:
        name: with the folders that it lies in.
        kind: `other` is a link or a device.
        open: gives its content.
        streamed: bytes that have to be unpacked to get past it, whether it is wanted or not.
    """

    name: str
    kind: Literal["file", "folder", "other"]
    open: Callable[[], IO[bytes] | None]
    streamed: int = 0


def is_archive(name: str) -> bool:
    """Returns whether a file's name is that of an archive."""
    return name.lower().endswith(SUFFIXES_OF_ARCHIVES)


def archive_stem(name: str) -> str:
    """Returns an archive's name without what says of which kind it is."""
    suffix = next((one for one in SUFFIXES_OF_ARCHIVES if name.lower().endswith(one)), "")
    return name[: len(name) - len(suffix)] or "images"


def archive_entries(file: IO[bytes], name: str) -> Iterator[Entry]:
    """Yields what an archive holds.

    Args:
        file: can be sought in.
        name: of the archive, for sentences.

    Raises:
        DataError: it is encrypted.
        Exception: whatever `sentences` turns into one.
    """
    # By its head: a tar whose last file is a zip ends like one.
    file.seek(0)
    is_zip = file.read(4) in ZIP_HEADS
    file.seek(0)
    return _of_zip(file, name) if is_zip else _of_tar(file)


def _of_zip(file: IO[bytes], name: str) -> Iterator[Entry]:
    with zipfile.ZipFile(Sparing(file)) as packed:
        for info in packed.infolist():
            if info.flag_bits & 1:
                raise DataError(f"{name} is encrypted; unpack it yourself.")
            mode = info.external_attr >> 16
            odd = stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
            yield Entry(
                info.filename,
                # Not is_dir, to which an entry without a name is an error.
                "folder" if info.filename.endswith("/") else "other" if odd else "file",
                lambda info=info: packed.open(info),  # type: ignore[misc]
            )


class Sparing:
    """A file of which not much is read at once."""

    def __init__(self, file: IO[bytes], most: int | None = None):
        """Takes a file that can be sought in, and the most bytes that are read of it at once."""
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable
        self._file = file
        self._most = MOST_LIST_BYTES if most is None else most

    def read(self, num_bytes: int = -1) -> bytes:
        """Returns the next bytes."""
        if num_bytes > self._most:
            raise OverflowError(f"a list of {num_bytes:,} bytes")
        return self._file.read(num_bytes)


class _Member(tarfile.TarInfo):
    """A header of a tar that is not read where it is of a size that none has.

    What it raises is not of tarfile's own kinds: those are how that finds the end of a file.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0:
            raise OverflowError("a size below nothing")
        if member.type == tarfile.GNUTYPE_SPARSE:
            _refuse_holes()
        if member.type in LONG_HEADERS and member.size > MOST_HEADER_BYTES:
            raise OverflowError("a name of more than a million bytes")
        return member

    def _proc_gnusparse_10(self, *_: object) -> None:
        # It would read a list of any length into the memory.
        _refuse_holes()


def _refuse_holes() -> None:
    # What they unpack to is not in the archive, so it is not counted there either.
    raise OverflowError("a file with holes in it; pack it without --sparse")


def _of_tar(file: IO[bytes]) -> Iterator[Entry]:
    # A stream: what comes is looked at in order, and never all at once.
    with tarfile.open(fileobj=file, mode="r:*", tarinfo=_Member) as tar:
        before = 0
        for member in tar:
            if member.size < 0:
                # As pax may say; the next header would be one before.
                raise OverflowError("a size below nothing")
            if member.issparse():
                _refuse_holes()
            yield Entry(
                member.name,
                "folder" if member.isdir() else "file" if member.isreg() else "other",
                lambda member=member: tar.extractfile(member),  # type: ignore[misc]
                # With what was said of it before, which may be more than it is itself.
                streamed=tar.offset - before,
            )
            before = tar.offset
            # Or it keeps all that it has seen.
            tar.members = []  # type: ignore[attr-defined]
            tar.pax_headers = {}
        _require_end(tar)


def _require_end(tar: tarfile.TarFile) -> None:
    """Raises ReadError where a tar breaks off: a header that is damaged passes for its end.

    What is left is unpacked as well: the check sums of what is compressed stand after it.
    """
    file = tar.fileobj
    assert file is not None
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError("what comes after its entries is none")
    for _ in range(MOST_TAIL_BYTES // 2**20):
        if not file.read(2**20):
            return


@contextlib.contextmanager
def sentences(name: str) -> Iterator[None]:
    """Turns what unpacking stumbles over into a sentence.

    Args:
        name: of the archive, or of what came.
    """
    try:
        yield
    except DataError:
        raise
    except (tarfile.ReadError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(
            f"{name} is no archive that can be read, or is damaged ({_reason(error)}); "
            f"Thaw takes {', '.join(SUFFIXES_OF_ARCHIVES)}."
        ) from error
    except OSError as error:
        raise DataError(
            f"{name} cannot be unpacked ({error.strerror or error}); check the file and "
            "the room on the disk."
        ) from error
    except (
        EOFError,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        RuntimeError,
        ValueError,
        LookupError,
        OverflowError,
        MemoryError,
    ) as error:
        raise DataError(f"{name} is damaged ({_reason(error)}); fetch it again.") from error


def _reason(error: Exception) -> str:
    """Returns the first line of what a library says; tarfile tells of each format that it tried.

    What it quotes from an archive is shown so that no terminal acts on it.
    """
    lines = str(error).splitlines() or [type(error).__name__]
    return "".join(c if c.isprintable() else "?" for c in lines[0]).rstrip(": ")
