"""Names from an archive as names that are safe on any file system."""

import hashlib
import re
from pathlib import PurePosixPath

MOST_BYTES = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f<>:\"|?*]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")


def safe_path(name: str) -> PurePosixPath | None:
    """Returns a relative path that stays where it is put; None where the name leads elsewhere.

    Args:
        name: of an entry, with either kind of slash.
    """
    text = name.replace("\\", "/")
    if text.startswith("/") or _DRIVE.match(text):
        return None
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        return None
    return PurePosixPath(*map(safe_name, parts))


def safe_name(part: str) -> str:
    """Returns one name of a path, changed as little as need be."""
    # What cannot be written in UTF-8 came from bytes of an unknown encoding.
    text = _CONTROL.sub("_", part.encode("utf-8", "replace").decode("utf-8"))
    text = text.rstrip(". ") or "_"
    if _RESERVED.fullmatch(text):
        text = f"_{text}"
    if len(text.encode()) <= MOST_BYTES:
        return text
    # Names that differ at their ends only must not become one.
    digest = hashlib.blake2b(part.encode("utf-8", "replace"), digest_size=4).hexdigest()
    stem, dot, suffix = text.rpartition(".")
    ending = f"~{digest}{dot}{suffix}" if stem and len(suffix) <= 5 else f"~{digest}"
    kept = text.encode()[: MOST_BYTES - len(ending.encode())].decode("utf-8", "ignore")
    return kept + ending
