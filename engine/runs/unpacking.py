"""Takes a run's file apart, which may come from a stranger, into a folder of its own.

What a zip says is believed in nothing: names are those that are known and nothing else, each once;
sizes are bounded before and while they are read; every member has the SHA-256 that `run.json` says.
"""

import hashlib
import os
import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.data.entries import ZIP_HEADS, Sparing
from engine.errors import SpecError
from engine.runs.foreign import Known, check_file
from engine.runs.foreign_events import event_lines
from engine.runs.foreign_manifest import json_object, read_images
from engine.runs.run_file import (
    EVENTS,
    FORMAT,
    MOST_MEMBERS,
    MOST_RATIO,
    RATIO_COUNTS_FROM,
    RUN,
    Heading,
    Member,
    MemberKind,
    RunDocument,
    member_kind,
)
from engine.spec import Act, RunSpec

MANIFEST = "manifest.json"
MOST_AT_ONCE = 4 * 2**20
CHUNK = 2**20
# What is left on the disk when all of it is there.
KEEP_FREE = 256 * 2**20


class RefusedError(ValueError):
    """A whole sentence on why a file is not taken in, but for its name."""


@dataclass(frozen=True)
class Parts:
    """A run's file, taken apart and looked at.

    Attributes:
        document: what its `run.json` says.
        folder: what is to be the run's folder.
        events: file of its events.
    """

    document: RunDocument
    folder: Path
    events: Path


def take_apart(file: IO[bytes], part: Path) -> Parts:
    """Writes what is in a run's file below an empty folder; returns it once all of it is sound.

    Args:
        file: can be sought in.
        part: an empty folder, which whoever called removes.

    Raises:
        ValueError: it is no file of a run, is damaged, or from a newer Thaw.
        BadZipFile: it is no zip.
        OSError: it cannot be read or written.
    """
    folder = part / "folder"
    folder.mkdir()
    num_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(4) not in ZIP_HEADS:
        raise zipfile.BadZipFile("it does not begin like one")
    with zipfile.ZipFile(Sparing(file, MOST_AT_ONCE)) as packed:
        infos = _members(packed, num_bytes)
        document = _document(packed, infos)
        _check_listed(document, infos)
        if shutil.disk_usage(part).free < sum(i.file_size for i in infos.values()) + KEEP_FREE:
            raise RefusedError("would fill the disk of THAW_HOME; free some room first.")
        for name, member in document.members.items():
            target = part / name if name == EVENTS else folder / name
            _unpack(packed, infos[name], target, member)
    parts = Parts(document, folder, part / EVENTS)
    _check(parts)
    return parts


def _members(packed: zipfile.ZipFile, num_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Returns what a zip lists, by name, once nothing of it is odd or too large."""
    listed = packed.infolist()
    if len(listed) > MOST_MEMBERS:
        raise ValueError(f"it has more than {MOST_MEMBERS} members")
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in listed:
        name = info.orig_filename
        if name in infos:
            raise ValueError(f"it has {name!a} twice")
        # A newer release may have members that this one does not know; that is said first.
        infos[name] = info
        if info.flag_bits & 1:
            raise ValueError("it is encrypted")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ValueError(f"{name!a} is a link or a device")
    if sum(info.compress_size for info in listed) > num_bytes:
        raise ValueError("it tells of more than it has")
    return infos


def _document(packed: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo]) -> RunDocument:
    info = infos.get(RUN)
    if info is None:
        raise ValueError(f"it has no {RUN}")
    kind = _kind(info)
    with packed.open(info) as member:
        content = member.read(kind.most_bytes + 1)
    values = json_object(content, RUN)
    heading = Heading.model_validate(values)
    if heading.format > FORMAT:
        raise RefusedError(
            f"was written by a newer Thaw (format {heading.format}; this one knows {FORMAT}); "
            "update Thaw with: pip install -U thaw-lab."
        )
    return RunDocument.model_validate_json(content)


def _kind(info: zipfile.ZipInfo) -> MemberKind:
    """Returns of which kind a member is, once what the zip says of it fits that."""
    kind = member_kind(info.orig_filename)
    if kind is None or info.filename != info.orig_filename:
        raise ValueError(f"it has {info.orig_filename[:100]!a}, which no run has")
    wanted = zipfile.ZIP_STORED if kind.stored else zipfile.ZIP_DEFLATED
    if info.compress_type != wanted:
        raise ValueError(f"its {kind.name} is not packed as a run's are")
    most = max(RATIO_COUNTS_FROM, MOST_RATIO * info.compress_size)
    if kind.stored:
        most = info.compress_size
    if info.file_size > min(kind.most_bytes, most):
        raise ValueError(f"its {kind.name} is larger than any run's, or unpacks to far more")
    return kind


def _check_listed(document: RunDocument, infos: dict[str, zipfile.ZipInfo]) -> None:
    for info in infos.values():
        _kind(info)
    if set(document.members) != set(infos) - {RUN} or EVENTS not in infos:
        raise ValueError(f"{RUN} does not list what is in it")
    for name, member in document.members.items():
        if infos[name].file_size != member.bytes:
            raise ValueError(f"{name} is not of the size that {RUN} says")


def _unpack(packed: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, told: Member) -> None:
    digest, left = hashlib.sha256(), told.bytes
    with packed.open(info) as member, target.open("xb") as file:
        while chunk := member.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise ValueError(f"{info.filename} holds more than it says")
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if left or digest.hexdigest() != told.sha256:
        raise ValueError(f"{info.filename} is not what was written: its SHA-256 is another")


def _check(parts: Parts) -> None:
    """Looks at all that was written."""
    document = parts.document
    try:
        spec = RunSpec.parse(document.run.spec)
    except SpecError as error:
        raise RefusedError(
            f"was written by Thaw {document.written_with.thaw}, and its settings are not known "
            f"here: {error}"
        ) from error
    with parts.events.open("rb") as file:
        seq = num_events = 0
        for num_events, event in enumerate(event_lines(file), start=1):
            seq = event.seq
            if num_events > document.num_events:
                break
    if num_events != document.num_events or seq > document.run.last_seq:
        raise ValueError(f"{EVENTS} has not as many events as {RUN} says")
    _check_acts(document)
    manifest = parts.folder / MANIFEST
    known = Known(spec, read_images(manifest) if manifest.is_file() else None)
    for file_of_run in sorted(parts.folder.iterdir()):
        check_file(file_of_run, known)


def _check_acts(document: RunDocument) -> None:
    numbers = [one.number for one in document.acts]
    if numbers != sorted(set(numbers)):
        raise ValueError("what was asked of the run is not in order")
    for one in document.acts:
        Act.parse(one.act)
