"""Which folders of this machine the pages may read: who starts Thaw says so, not who opens it.

Links are resolved first. Whoever can write below a root on the machine itself can still exchange a
file between the look and the reading; pages cannot make links.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from engine.data.found import ImageFolder
from engine.data.intake import files_of
from engine.errors import DataError, WeightsError
from engine.home import thaw_home
from engine.models.weights_files import SETTING as WEIGHTS_VARIABLE
from engine.models.weights_files import is_file
from engine.spec import DataSpec

VARIABLE = "THAW_ROOTS"


def allowed_roots() -> list[Path]:
    """Returns the folders below which images may lie, links resolved.

    They are those of THAW_ROOTS, or else where Thaw was started, and always its own data sets.
    """
    named = [text for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    roots = [Path(text).expanduser() for text in named] or [Path.cwd()]
    return [root.resolve() for root in (*roots, thaw_home() / "datasets")]


def allowed_images(data: DataSpec) -> ImageFolder:
    """Returns the images of a spec, none of which lies outside the roots, whatever links say.

    Raises:
        DataError: one does, or the folder cannot be used; see find_images.
    """
    roots = allowed_roots()
    folders = [Path(data.folder), *([Path(data.val_folder)] if data.val_folder else [])]
    for folder in folders:
        _require(folder, roots, f"{folder} lies")
    found = files_of(data)
    paths = [path for group in (*found.train, *(found.val or ())) for path in group]
    for path in _telling(paths):
        _require(path, roots, f"{path}, which {folders[0]} leads to, lies")
    return found


def is_allowed(path: str) -> bool:
    """Returns whether a file lies below a root, links resolved, so that a page may show it."""
    try:
        resolved = Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return False
    return any(resolved.is_relative_to(root) for root in allowed_roots())


def allowed_weights(text: str) -> Path:
    """Returns the weights file that a person names by a path.

    It lies below a root, in the folder of THAW_WEIGHTS or in THAW_HOME, as checkpoints of runs do.

    Raises:
        WeightsError: it lies elsewhere, whether or not it is there, or there is no such file.
    """
    named = os.environ.get(WEIGHTS_VARIABLE)
    own = [Path(os.path.expanduser(named)).resolve()] if named else []  # noqa: PTH111
    roots = [*allowed_roots(), *own, thaw_home()]
    try:
        file = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111
        resolved = file.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"There is no weights file {text} ({error}); check the path.") from error
    if not any(resolved.is_relative_to(root) for root in roots):
        raise WeightsError(
            f"{file} lies outside the folders that Thaw may read here "
            f"({', '.join(map(str, roots))}); copy the file there, or let who started Thaw start "
            f"it again with --root or {WEIGHTS_VARIABLE} and its folder."
        )
    if not is_file(file):
        raise WeightsError(f"There is no weights file {file} that can be read; check the path.")
    return file


def _telling(paths: Iterable[Path]) -> set[Path]:
    """Returns the folders of files, and those files that are links: where they are decides."""
    links: set[Path] = set()
    folders: set[str] = set()
    for path in paths:
        # As texts: there may be hundreds of thousands.
        text = os.fspath(path)
        if os.path.islink(text):  # noqa: PTH114
            links.add(path)
        else:
            folders.add(os.path.dirname(text))  # noqa: PTH120
    return links | {Path(folder) for folder in folders}


def _require(path: Path, roots: Iterable[Path], subject: str) -> None:
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path} cannot be looked up ({error}); check the path.") from error
    if not any(resolved.is_relative_to(root) for root in roots):
        shown = ", ".join(map(str, roots))
        raise DataError(
            f"{subject} outside the folders that Thaw may read here ({shown}); copy the images "
            "there, or let who started Thaw start it again with --root and that folder."
        )
