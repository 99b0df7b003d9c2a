"""Paths in specs are absolute, so that a run means the same wherever it is started from."""

from pathlib import Path


def absolute_path(value: str, kind: str) -> str:
    """Returns an absolute path, `~` replaced by the home folder.

    Raises:
        ValueError: there is no such home folder.
    """
    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError as error:
        raise ValueError(f"must be the path of a {kind}; there is no such home folder") from error
