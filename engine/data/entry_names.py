"""Names from an archive as names that are safe on any file system.

A name that has to be changed gets a mark of its own, so that two names never become one: folders
are classes, and two classes must not be merged.
"""

import hashlib
import re
from pathlib import PurePosixPath

MOST_BYTES = 200
MOST_PARTS = 32
# Some systems take no path of more than a thousand, the folder above it included.
MOST_PATH_BYTES = 800
# What terminals act on, what turns a name round, and what is no text.
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_ODD = re.compile(rf"[{_UNSEEN}<>:\"|?*]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:/")


def safe_path(name: str) -> PurePosixPath | None:
    """Returns a relative path that stays where it is put; None where the name leads elsewhere.

    Args:
        name: of an entry, with either kind of slash. Folders within each other by the dozen, and
            paths that no system takes, count as leading elsewhere, too.
    """
    text = name.replace("\\", "/")
    if text.startswith("/") or _DRIVE.match(text):
        return None
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or len(parts) > MOST_PARTS or ".." in parts:
        return None
    path = PurePosixPath(*map(safe_name, parts))
    return path if len(str(path).encode()) <= MOST_PATH_BYTES else None


def folder_name(text: str) -> str:
    """Returns any text as the name of one folder, which is not hidden."""
    return safe_name(text.replace("/", "_").replace("\\", "_").lstrip("."))


def safe_name(part: str) -> str:
    """Returns one name of a path, changed as little as need be."""
    text = _ODD.sub("_", part).rstrip(". ") or "_"
    if _RESERVED.fullmatch(text):
        text = f"_{text}"
    if text == part and len(text.encode()) <= MOST_BYTES:
        return text
    digest = hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    stem, dot, suffix = text.rpartition(".")
    is_short = bool(stem) and len(suffix) <= 5
    ending = f"~{digest}{dot}{suffix}" if is_short else f"~{digest}"
    body = stem if is_short else text
    kept = body.encode()[: MOST_BYTES - len(ending.encode())].decode("utf-8", "ignore")
    return kept + ending


def shown_name(text: str) -> str:
    """Returns a name as a sentence can quote it, in one line, and a terminal can show it."""
    return re.sub(f"[{_UNSEEN}]", "?", text)
