"""THAW_HOME: whether it can be written, and on what kind of disk it lies."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil

from engine.doctor.finding import Finding, fault, not_applicable, ok, warning
from engine.doctor.room import nearest
from engine.home import home_path

ELSEWHERE = "Set THAW_HOME to a folder that you may write to, for example THAW_HOME=~/thaw."
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "afpfs", "9p", "davfs", "ceph"}
    | {"glusterfs", "lustre", "gpfs", "beegfs", "sshfs", "s3fs", "gcsfuse", "webdav"}
)


def home() -> Finding:
    """Looks whether Thaw's folder is there or can be made, and can be written."""
    folder = home_path()
    there = nearest(folder)
    if not there.is_dir():
        return fault(f"THAW_HOME would be {folder}, but {there} is no folder.", ELSEWHERE)
    if not os.access(there, os.W_OK | os.X_OK):
        return fault(f"Thaw cannot write to {there}, where its folder is to be.", ELSEWHERE)
    if there != folder.absolute():
        return ok(f"{folder} is not there yet; it is made when Thaw first keeps something.")
    try:
        # It has no name where the system allows that, and is gone at once.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        return fault(f"Thaw cannot write to its folder {folder} ({reason}).", ELSEWHERE)
    return ok(f"{folder} can be written.", folder=str(folder))


def home_file_system() -> Finding:
    """Looks whether Thaw's folder lies on this machine's own disk."""
    folder = nearest(home_path()).resolve()
    kind = file_system(folder, _mounts())
    if not kind:
        return not_applicable(f"The system does not say on what kind of disk {folder} lies.")
    if kind.rpartition(".")[2] not in NETWORK:
        return ok(f"{folder} lies on a disk of this machine ({kind}).", kind=kind)
    if os.environ.get("THAW_DATABASE_URL"):
        return ok(f"{folder} lies on a network ({kind}); the store does not.", kind=kind)
    return warning(
        f"{folder} lies on a network ({kind}), where SQLite's locks cannot be relied on.",
        "Set THAW_HOME to a disk of this machine, or THAW_DATABASE_URL to a PostgreSQL database.",
        kind=kind,
    )


def file_system(folder: Path, mounts: Sequence[tuple[str, str]]) -> str:
    """Returns the kind of disk that a folder lies on, by (folder, kind) of all that are mounted."""
    above = [(Path(at), kind) for at, kind in mounts if folder.is_relative_to(at)]
    # Of several at one place, the last was mounted over the others.
    return (
        max(enumerate(above), key=lambda one: (len(one[1][0].parts), one[0]))[1][1] if above else ""
    )


def _mounts() -> list[tuple[str, str]]:
    return [(one.mountpoint, one.fstype) for one in psutil.disk_partitions(all=True)]
