"""Writes a run to one file, from which it can be brought in on another machine.

What tells of this machine and is not the run's own stays here: its name and processes, logs and
tracebacks, and where Thaw and the person's files lie. The paths in the spec and in the manifest go
along: they are the run's own, and it can be resumed where the same images lie there.
"""

import contextlib
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from engine import __version__
from engine.errors import RunFileError
from engine.events import MetricEvent
from engine.files import replacing
from engine.home import CHECKPOINT_FILE, run_folder, thaw_home
from engine.runs.plain import printable
from engine.runs.run_file import (
    EVENTS,
    FORMAT,
    RUN,
    SUFFIX,
    Member,
    MemberKind,
    RunDocument,
    canonical,
    member_kind,
)
from engine.runs.store import Run, Store
from engine.runs.transplant import asked_acts

CHUNK = 2**20
# Before it, a zip knows no date; the content alone decides the file.
NO_DATE = (1980, 1, 1, 0, 0, 0)
OWN_FILE = 0o600 << 16
ELSEWHERE = "on the machine where it ran"
IMPORTED = "imported"


def export_run(store: Store, run: Run, file: Path, with_states: bool = False) -> Path:
    """Writes a run to a file, whole or not at all, and returns its path.

    Args:
        store: has the run.
        run: one that has ended.
        file: to write; one that is there is replaced. A folder gets a file named after the run.
        with_states: with what the run could be resumed from.

    Raises:
        RunFileError: the run waits or goes on, or the file cannot be written.
    """
    target = target_of(run, file)
    with _sentences(run, target.parent), replacing(target) as part, part.open("xb") as opened:
        write_run(store, run, opened, with_states)
    return target


def target_of(run: Run, file: Path) -> Path:
    """Returns the file that is written where a person names a file or a folder."""
    target = file / file_name(run) if file.is_dir() else file
    return target if target.suffix == SUFFIX else target.with_name(target.name + SUFFIX)


def file_name(run: Run) -> str:
    """Returns a name for a run's file that any system takes."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", run.name).strip("-").lower()[:60].rstrip("-")
    return f"{words or 'run'}-{run.id}{SUFFIX}"


def write_run(store: Store, run: Run, file: IO[bytes], with_states: bool = False) -> None:
    """Writes a run to a file that can be sought in.

    Args:
        store: has the run.
        run: one that has ended.
        file: is left open.
        with_states: with what the run could be resumed from.

    Raises:
        RunFileError: the run waits or goes on, or cannot be read or written.
    """
    require_ended(run)
    with _sentences(run), zipfile.ZipFile(file, "w") as packed:
        lines = _lines(store, run)
        members = {EVENTS: _pack(packed, EVENTS, lines)}
        for name, path in files_of(run, with_states):
            members[name] = _pack(packed, name, content_of(path))
        document = _document(store, run, members, len(lines))
        _pack(packed, RUN, [document.to_json().encode()])
    now = store.run(run.id)
    if now.is_active or now.last_seq != run.last_seq:
        raise RunFileError(f"Run {run.id} was taken up again meanwhile; wait for its end.")


def require_ended(run: Run) -> None:
    """Checks that a run can be written to a file.

    Raises:
        RunFileError: it waits or goes on.
    """
    if run.is_active:
        raise RunFileError(
            f"Run {run.id} is {run.status}; only a run that has ended can be exported: wait for "
            f"its end, or stop it: thaw stop {run.id}."
        )


def described(store: Store, run: Run) -> RunDocument:
    """Returns what `run.json` would say of a run, without writing anything.

    Raises:
        RunFileError: the run cannot be read.
    """
    with _sentences(run):
        lines = _lines(store, run)
        members = {EVENTS: _member(lines)}
        for name, path in files_of(run, with_states=False):
            members[name] = _member(content_of(path))
        return _document(store, run, members, len(lines))


def files_of(run: Run, with_states: bool) -> list[tuple[str, Path]]:
    """Returns the files of a run's folder that go into its file, by name."""
    folder = run_folder(run.id)
    names = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
    kinds = ((name, member_kind(name)) for name in names)
    return [
        (name, folder / name)
        for name, kind in kinds
        if kind is not None
        and (with_states or kind.name != "state")
        and (folder / name).is_file()
        and not (folder / name).is_symlink()
    ]


def content_of(path: Path) -> Iterator[bytes]:
    """Yields a file's content, without what a blend's report says of this machine.

    Raises:
        OSError: it cannot be read.
        ValueError: the report is damaged.
    """
    kind = member_kind(path.name)
    if kind is not None and kind.name == "blend":
        report = json.loads(path.read_text(encoding="utf-8"))
        report |= {"checkpoint": path.with_suffix(".safetensors").name, "run_id": ""}
        yield canonical(report).encode()
        return
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _document(store: Store, run: Run, members: dict[str, Member], num_events: int) -> RunDocument:
    clean = Cleaner(run)
    summary = clean(run.summary)
    summary.pop(IMPORTED, None)
    if summary.get("checkpoint"):
        summary["checkpoint"] = CHECKPOINT_FILE if CHECKPOINT_FILE in members else None
    values: dict[str, Any] = {
        "format": FORMAT,
        "written_with": {name: _version(name) for name in ("thaw", "torch", "timm")},
        "run": {
            "id": run.id,
            "name": printable(run.name),
            "status": run.status,
            "reason": clean(run.reason),
            "spec": run.spec.model_dump(mode="json"),
            "summary": summary,
            "group": run.group_id,
            "colour": run.colour,
            "created_at": run.created_at,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "last_seq": run.last_seq,
            "note": printable(run.note),
            "tags": [printable(tag) for tag in run.tags],
            "starred": bool(run.starred),
        },
        "acts": asked_acts(store, run.id),
        "num_events": num_events,
        "members": members,
    }
    return RunDocument.model_validate(values)


def _version(name: str) -> str:
    return __version__ if name == "thaw" else metadata.version(name)


def _lines(store: Store, run: Run) -> list[bytes]:
    clean = Cleaner(run)
    return [canonical(_line(one, clean)).encode() + b"\n" for one in store.events(run.id)]


def _line(event: MetricEvent, clean: "Cleaner") -> dict[str, Any]:
    return {
        "seq": event.seq,
        "time": event.time,
        "kind": event.kind,
        "epoch": event.epoch,
        "step": event.step,
        "values": clean(event.values),
    }


class Cleaner:
    """Takes out of texts where Thaw and the person's own files lie on this machine."""

    def __init__(self, run: Run):
        home, person = thaw_home(), Path.home()
        places = [(str(run_folder(run.id)), "the run's folder"), (str(home), "THAW_HOME")]
        if len(person.parts) > 1:
            places.append((str(person), "~"))
        self._places = [
            (re.compile(rf"(?<![\w.-]){re.escape(place)}(?=$|[^\w.-]|\.(?:\s|$))"), instead)
            for place, instead in places
        ]
        # What lies in the run's folder and is not in the file is still there.
        folder = re.escape(str(run_folder(run.id)) + os.sep)
        self._logs = re.compile(folder + r"([\w-]+\.(?:txt|log))")

    def __call__(self, value: Any) -> Any:
        """Returns plain data with all texts cleaned."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {printable(name): self(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self(one) for one in value]
        return value

    def _text(self, text: str) -> str:
        text = self._logs.sub(rf"\1 {ELSEWHERE}", text)
        for place, instead in self._places:
            text = place.sub(instead, text)
        return printable(text)


def _member(chunks: Iterable[bytes]) -> Member:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return Member(bytes=size, sha256=digest.hexdigest())


def _pack(packed: zipfile.ZipFile, name: str, chunks: Iterable[bytes]) -> Member:
    """Writes a member and returns what was written."""
    kind = member_kind(name)
    assert kind is not None, name
    info = zipfile.ZipInfo(name, NO_DATE)
    info.compress_type = zipfile.ZIP_STORED if kind.stored else zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = OWN_FILE
    with packed.open(info, "w", force_zip64=True) as member:
        return _member(_through(chunks, member, kind))


def _through(chunks: Iterable[bytes], member: IO[bytes], kind: MemberKind) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > kind.most_bytes:
            raise RunFileError(
                f"The run's {kind.name} come to more than {kind.most_bytes // 2**20:,} MB, which "
                "no file of a run holds; copy its folder by hand."
            )
        member.write(chunk)
        yield chunk


@contextlib.contextmanager
def _sentences(run: Run, folder: Path | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f" in {folder}" if folder is not None else ""
        raise RunFileError(
            f"Run {run.id} cannot be written to a file{where} ({error.strerror or error}); check "
            "the folder and the room on the disk."
        ) from error
    except (ValidationError, ValueError) as error:
        lines = str(error).splitlines()
        raise RunFileError(
            f"Run {run.id} cannot be exported, since what is kept of it is damaged "
            f"({printable(' '.join(lines[:3]))})."
        ) from error
