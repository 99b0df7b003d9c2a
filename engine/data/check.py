"""Opens every picture once, remembers the verdict, and hashes its content.

A verdict is kept by path, size and time of change, so that the second run of a pair, or the page
that shows the folder, does not decode the same files again.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from engine.data.decode import NO_MEMORY, decode_file
from engine.data.likeness import perceptual_hash
from engine.errors import DataError
from engine.files import write_text
from engine.home import cache_folder

Progress = Callable[[int, int], None]

PORTION = 512


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found when a file was opened.

    Attributes:
        stamp: size and time of change of the file that was judged.
        digest: BLAKE2b of the content, in hex; empty where it could not be read, or was too much
            for the memory there was.
        reason: why the file cannot be used; empty where it can.
        width: in px, upright; 0 where it cannot be used, like all that follows.
        height: in px.
        format: of the file, as Pillow calls it.
        likeness: perceptual hash, in hex.
    """

    stamp: str
    digest: str
    reason: str
    width: int = 0
    height: int = 0
    format: str = ""
    likeness: str = ""


def check_pictures(
    folder: Path, files: Sequence[Path], progress: Progress = lambda done, total: None
) -> dict[Path, Verdict]:
    """Returns a verdict for each file, decoding those that were not judged before.

    Args:
        folder: the data set; verdicts are kept per data set.
        files: the files to judge.
        progress: called with the number judged so far and the number to judge.
    """
    store = cache_folder("checks") / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]}.json"
    known = _load(store)
    verdicts: dict[Path, Verdict] = {}
    fresh: list[Path] = []
    for path in files:
        verdict = known.get(str(path))
        if verdict is not None and verdict.stamp == _stamp(path):
            verdicts[path] = verdict
        else:
            fresh.append(path)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        # In portions: what is handed to the pool is all kept until it is done.
        for start in range(0, len(fresh), PORTION):
            portion = fresh[start : start + PORTION]
            for done, verdict in enumerate(pool.map(_judge, portion), start):
                verdicts[fresh[done]] = verdict
                progress(done + 1, len(fresh))
    if fresh:
        # What could not be opened may be mended without a change of the file.
        told = {str(path): one for path, one in verdicts.items() if one.digest}
        _save(store, known | told)
    return verdicts


def content_digest(path: Path) -> str:
    """Returns the BLAKE2b of a file's content, in hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "gone"
    return f"{status.st_size}-{status.st_mtime_ns}"


def _judge(path: Path) -> Verdict:
    stamp = _stamp(path)
    digest = ""
    try:
        if not path.is_file():
            # Opening a pipe would wait for its other end.
            raise DataError("not there" if not path.exists() else "not a file")
        digest = content_digest(path)
        picture, file_format = decode_file(path)
        likeness = perceptual_hash(picture)
    except DataError as error:
        # There may be more memory next time.
        return Verdict(stamp, "" if str(error) == NO_MEMORY else digest, str(error))
    except OSError as error:
        return Verdict(stamp, "", f"cannot be opened ({error.strerror or error})")
    return Verdict(
        stamp, digest, "", picture.width, picture.height, sys.intern(file_format), likeness
    )


def _load(store: Path) -> dict[str, Verdict]:
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        entries = json.loads(store.read_text(encoding="utf-8"))
        # An earlier version kept less of each, by name; those are judged anew.
        whole = len(fields(Verdict))
        return {
            path: Verdict(*entry)
            for path, entry in entries.items()
            if isinstance(entry, list) and len(entry) == whole
        }
    return {}


def _save(store: Path, verdicts: dict[str, Verdict]) -> None:
    # An entry at a time: of 100,000 dictionaries the process would keep the memory.
    entries = (f"{json.dumps(path)}: {json.dumps(astuple(v))}" for path, v in verdicts.items())
    write_text(store, "{" + ",\n".join(entries) + "}")
