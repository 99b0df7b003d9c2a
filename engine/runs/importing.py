"""Brings a run in from one file, which may come from a stranger: all of it, or nothing.

A run is a folder and rows of the store. The folder is written under another name, gets its own with
a mark in it, then the rows are written in one transaction, then the mark goes: what a kill leaves
behind is a folder with a mark, which the next import removes.
"""

import contextlib
import json
import secrets
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from filelock import FileLock
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from engine.data.entry_names import shown_name
from engine.errors import RunFileError, SpecError, StoreError, ThawError
from engine.home import CHECKPOINT_FILE, run_folder, thaw_home
from engine.runs.exporting import IMPORTED, described
from engine.runs.foreign_events import event_lines
from engine.runs.ids import new_id
from engine.runs.plain import printable
from engine.runs.run_file import RunDocument, member_kind
from engine.runs.store import Run, Store
from engine.runs.transplant import ids_from, insert_run, is_taken
from engine.runs.unpacking import Parts, RefusedError, take_apart
from engine.training.elsewhere import FROM_ELSEWHERE

LOCK_FILE = "import.lock"
MARK = ".importing"
ABANDONED_SECONDS = 86_400.0


@dataclass(frozen=True)
class Imported:
    """A run that a file holds, as it is here.

    Attributes:
        run: its row.
        outcome: `added`; `renamed`, where another run had its id; or `known`, where it was here.
        file_id: the id that it has in the file.
    """

    run: Run
    outcome: Literal["added", "renamed", "known"]
    file_id: str

    @property
    def sentence(self) -> str:
        """What happened, for a person."""
        named = f"{self.run.name} ({self.run.id})"
        if self.outcome == "known":
            return f"{named} is here already; nothing was changed."
        if self.outcome == "renamed":
            return f"{named} came in under a new id: another run has {self.file_id} here."
        return f"{named} came in."


def import_file(store: Store, path: Path) -> Imported:
    """Brings in the run that a file holds; see import_run."""
    name = shown_name(path.name)
    try:
        file = path.open("rb")
    except OSError as error:
        raise RunFileError(
            f"{shown_name(str(path))} cannot be read ({error.strerror or error}); check the path."
        ) from error
    with file:
        return import_run(store, file, name)


def import_run(store: Store, file: IO[bytes], name: str) -> Imported:
    """Brings in the run that an open file holds, with events, acts and folder, or nothing of it.

    Args:
        store: gets it.
        file: can be sought in.
        name: of the file, for sentences.

    Raises:
        RunFileError: it is no file of a run, is damaged, from a newer Thaw, or the disk is full.
        HomeError: THAW_HOME cannot be written.
    """
    with _sentences(shown_name(name)), _staged() as part:
        parts = take_apart(file, part)
        with FileLock(thaw_home() / LOCK_FILE):
            _sweep(store)
            known = _known(store, parts.document)
            if known is not None:
                return Imported(known, "known", parts.document.run.id)
            return _settle(store, parts)


def is_from_elsewhere(run: Run) -> bool:
    """Returns whether a run was brought in from a file."""
    return IMPORTED in run.summary


def _known(store: Store, document: RunDocument) -> Run | None:
    """Returns the run that is the same as a file's, None where there is none."""
    for run_id in ids_from(store, document.run.id):
        run = store.run(run_id)
        if run.is_active:
            continue
        came_as = (run.summary.get(IMPORTED) or {}).get("digest")
        if came_as == document.digest() and run.last_seq == document.run.last_seq:
            return run
        # One that cannot be read any more is another one.
        with contextlib.suppress(ThawError):
            if described(store, run).digest() == document.digest():
                return run
    return None


def _settle(store: Store, parts: Parts) -> Imported:
    document = parts.document
    run_id = document.run.id
    while is_taken(store, run_id) or run_folder(run_id).exists():
        run_id = new_id()
    target = run_folder(run_id)
    summary = _summary(document, target)
    _make_own(parts.folder, run_id, target)
    (parts.folder / MARK).write_text(_place(store), encoding="utf-8")
    parts.folder.rename(target)
    try:
        with parts.events.open("rb") as lines:
            insert_run(store, run_id, document, summary, event_lines(lines))
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    (target / MARK).unlink()
    outcome: Literal["added", "renamed"] = "added" if run_id == document.run.id else "renamed"
    return Imported(store.run(run_id), outcome, document.run.id)


def _summary(document: RunDocument, folder: Path) -> dict[str, Any]:
    summary = document.run.summary.plain()
    if "checkpoint" in summary:
        there = CHECKPOINT_FILE in document.members
        summary["checkpoint"] = str(folder / CHECKPOINT_FILE) if there else None
    said = {
        "id": document.run.id,
        "at": time.time(),
        "thaw": document.written_with.thaw,
        "digest": document.digest(),
    }
    return summary | {IMPORTED: said}


def _make_own(folder: Path, run_id: str, target: Path) -> None:
    """Gives files that tell where they lie their place here."""
    for file in sorted(folder.iterdir()):
        kind = member_kind(file.name)
        if kind is not None and kind.name == "blend":
            report = json.loads(file.read_text(encoding="utf-8"))
            weights = (target / file.name).with_suffix(".safetensors")
            report |= {"run_id": run_id, "checkpoint": str(weights)}
            file.write_text(json.dumps(report, indent=1), encoding="utf-8")
        if kind is not None and kind.name == "state":
            (folder / FROM_ELSEWHERE).touch()


@contextlib.contextmanager
def _staged() -> Iterator[Path]:
    """Gives an empty folder beside the runs' own, which goes in any case."""
    runs = thaw_home() / "runs"
    runs.mkdir(exist_ok=True)
    part = runs / f".{secrets.token_hex(8)}.part"
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sweep(store: Store) -> None:
    """Removes what imports that were killed left behind; nobody else imports meanwhile."""
    runs = thaw_home() / "runs"
    for part in runs.glob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(part, ignore_errors=True)
    for mark in runs.glob(f"*/{MARK}"):
        if mark.read_text(encoding="utf-8") != _place(store):
            continue
        if is_taken(store, mark.parent.name):
            mark.unlink(missing_ok=True)
        else:
            shutil.rmtree(mark.parent, ignore_errors=True)


def _place(store: Store) -> str:
    """Returns what tells stores from each other: what another one's import left is not ours."""
    return store.engine.url.render_as_string(hide_password=True)


@contextlib.contextmanager
def _sentences(name: str) -> Iterator[None]:
    """Turns what an import stumbles over into a sentence."""
    try:
        yield
    except RefusedError as error:
        raise RunFileError(f"{name} {printable(str(error))}") from error
    except (
        zipfile.BadZipFile,
        ValidationError,
        SpecError,
        ValueError,
        NotImplementedError,
    ) as error:
        raise RunFileError(
            f"{name} is no file of a run, or is damaged ({_reason(error)}); export the run again "
            "with: thaw export."
        ) from error
    except (OSError, SQLAlchemyError, StoreError) as error:
        cause = error.__cause__ if isinstance(error, StoreError) and error.__cause__ else error
        reason = getattr(cause, "strerror", None) or getattr(cause, "orig", None) or cause
        raise RunFileError(
            f"{name} cannot be brought in ({printable(str(reason))}); check the file and the room "
            "on the disk."
        ) from error
    except (EOFError, zlib.error, LookupError, RuntimeError, OverflowError, MemoryError) as error:
        raise RunFileError(
            f"{name} is damaged ({_reason(error)}); fetch it again, or export the run again."
        ) from error


def _reason(error: Exception) -> str:
    """Returns in one line what was wrong, and of a list of faults the first."""
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        return printable(f"{place}: {fault['msg']}")[:300]
    lines = str(error).splitlines() or [type(error).__name__]
    return printable(lines[0])[:300].rstrip(".")
