"""The doctor as a whole, and on Python, libraries, the machine and THAW_HOME."""

import json
import os
import re
import shutil
import time
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from engine.doctor import (
    device,
    home,
    libraries,
    room,
    weights,
)
from engine.doctor.checks import CHECKS, all_checks
from engine.doctor.examine import examine, repair
from engine.doctor.finding import Finding, Named, fault, ok
from engine.doctor.torch_probe import forget, probe
from engine.runs.store import Run, Store
from tests.engine.doctored import doctor, folder_of, run, store

__all__ = ["run", "store"]


Usage = namedtuple("Usage", "total used free")


# What of the machine that the tests run on may be found wanting.
OF_THE_MACHINE = {"memory", "shared memory", "room for runs", "temporary room", "processor"} | {
    "device",
    "kind of disk",
    "port",
}


def verdicts(done: Any) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in json.loads(done.stdout)["checks"]}


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PyTorch says where it was not loaded for the test."""
    said = {"torch": "9", "torchvision": "9", "threads": 2}
    monkeypatch.setattr(device, "probe", lambda: SAID | said)
    monkeypatch.setattr(weights, "probe", lambda: {})


# ---- all together


def test_a_clean_installation_has_nothing(store: Store) -> None:
    done = doctor("--json", THAW_DATABASE_URL="")
    found = verdicts(done)
    assert set(found) == {name for name, *_ in CHECKS} | {"port"}
    bad = {name for name, verdict in found.items() if verdict in ("warning", "fault")}
    assert bad - OF_THE_MACHINE == set(), done.stdout
    assert done.returncode == int("fault" in found.values())


def test_it_changes_nothing_and_makes_nothing(thaw_home: Path, store: Store, run: Run) -> None:
    store.close()
    before = folder_of(thaw_home)
    assert "✗  waiting runs" in doctor().stdout
    assert folder_of(thaw_home) == before
    shutil.rmtree(thaw_home)
    doctor()
    assert not thaw_home.exists()


def test_with_pytorch_broken_the_store_damaged_and_a_home_that_is_a_file_it_says_so(
    tmp_path: Path, thaw_home: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open')")
    path = os.pathsep.join([str(broken), os.environ.get("PYTHONPATH", "")])
    thaw_home.mkdir()
    (thaw_home / "thaw.db").write_bytes(b"no database" * 999)
    done = doctor("--json", PYTHONPATH=path)
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert found["PyTorch"]["verdict"] == "fault"
    assert "libcudart.so.13" in found["PyTorch"]["found"]
    assert found["store"]["verdict"] == found["store is whole"]["verdict"] == "fault"
    assert found["dead runs"]["verdict"] == "not applicable"
    file = tmp_path / "a file"
    file.write_text("")
    said = doctor(THAW_HOME=str(file / "home"), PYTHONPATH=path).stdout
    assert "✗  THAW_HOME" in said


def test_a_pytorch_that_crashes_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("import faulthandler; faulthandler._sigsegv()")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    forget()
    try:
        assert "signal 11" in probe()["error"]
        assert device.pytorch().verdict == "fault"
        assert device.device().verdict == "not applicable"
    finally:
        forget()


def test_a_check_that_hangs_or_fails_stops_no_other() -> None:
    def hangs() -> Finding:
        time.sleep(60)
        return ok("late")

    def fails() -> Finding:
        raise ZeroDivisionError("oh")

    started = time.monotonic()
    found = examine({"hangs": hangs, "fails": fails, "well": lambda: ok("fine")}, 1.0)
    assert time.monotonic() - started < 30
    assert [one.finding.verdict for one in found] == ["fault", "fault", "ok"]
    assert "no answer within 1 seconds" in found[0].finding.found
    assert "ZeroDivisionError: oh" in found[1].finding.found


def test_what_cannot_be_mended_is_told(store: Store) -> None:
    def breaks() -> list[str]:
        raise OSError("disk full")

    checks = {"a": lambda: fault("x", "y"), "b": lambda: ok("x")}
    found = [Named("a", Finding("fault", "x", "y", {}, breaks)), Named("b", ok("x"))]
    after, done = repair(checks, found)
    assert [one.name for one in after] == ["a", "b"]
    assert done == ["a: it could not be mended (OSError: disk full)."]


def test_every_check_has_a_sentence_and_names_what_to_do(store: Store, no_torch: None) -> None:
    for name, check in all_checks(8501).items():
        finding = check()
        assert finding.found.endswith("."), (name, finding)
        assert finding.verdict in ("ok", "not applicable") or finding.mend.endswith(
            (".", "thaw-lab", "torchvision")
        ), (name, finding)


# ---- Python and libraries


def fake_metadata(monkeypatch: pytest.MonkeyPatch, requires: list[str], python: str) -> None:
    real_requires, real = metadata.requires, metadata.metadata
    is_ours = libraries.DISTRIBUTION.__eq__
    monkeypatch.setattr(
        metadata, "requires", lambda name: requires if is_ours(name) else real_requires(name)
    )
    monkeypatch.setattr(
        metadata,
        "metadata",
        lambda name: {"Requires-Python": python} if is_ours(name) else real(name),
    )


def test_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.python_version().verdict == "ok"
    fake_metadata(monkeypatch, [], ">=3.99")
    assert libraries.python_version().verdict == "fault"


def test_libraries_that_are_too_old_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.library_versions().verdict == "ok"
    needed = ["numpy>=999", "no-such-library>=1", "filelock", "datasets>=999; extra == 'hub'"]
    fake_metadata(monkeypatch, needed, ">=3.11")
    found = libraries.library_versions()
    assert found.verdict == "fault"
    assert "no-such-library is not installed" in found.found
    assert re.search(r"numpy \S+ \(needed: >=999\)", found.found)
    assert "datasets" not in found.found


def test_a_torchvision_made_for_another_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.torch_and_torchvision().verdict == "ok"
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy", "torch==1.2.3"])
    found = libraries.torch_and_torchvision()
    assert found.verdict == "fault"
    assert "torch==1.2.3" in found.found


def test_thaw_that_is_not_installed_as_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "DISTRIBUTION", "thaw-nowhere")
    assert libraries.python_version().verdict == "warning"
    assert libraries.library_versions().verdict == "warning"


# ---- device, processor, memory

SAID = {"cuda": False, "cuda_build": "13.0", "mps": False, "said": [], "gpus": [], "gpu_error": ""}
TOO_OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
GPU = {"name": "H100", "bytes": 80 * 2**30, "computes": True}


@pytest.mark.parametrize(
    ("said", "driver", "verdict", "words"),
    [
        ({}, False, "ok", "no GPU is here"),
        ({"said": [TOO_OLD]}, True, "fault", "too old"),
        ({"cuda_build": None}, True, "warning", "built for the CPU"),
        ({}, True, "warning", "finds no CUDA GPU"),
        ({"mps": True}, False, "ok", "MPS"),
        ({"cuda": True, "gpus": [GPU]}, True, "ok", "H100 (80.0 GiB)"),
        ({"cuda": True, "gpu_error": "no kernel image"}, True, "fault", "no kernel image"),
        ({"cuda": True, "gpus": [GPU | {"computes": False}]}, True, "fault", "computes wrongly"),
    ],
)
def test_which_device_and_why(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], driver: bool, verdict: str, words: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "probe", lambda: SAID | said)
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/nvidia-smi" if driver else None)
    found = device.device()
    assert (found.verdict, words in found.found) == (verdict, True), found


def test_more_threads_than_a_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert device.cpu_quota(tmp_path) == 1.5
    assert device.memory_quota(tmp_path) == 2**30
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert device.cpu_quota(tmp_path) is None
    monkeypatch.setattr(device, "cpu_quota", lambda: 1.5)
    monkeypatch.setattr(device, "probe", lambda: {"threads": 64})
    found = device.processor()
    assert found.verdict == "warning"
    assert "OMP_NUM_THREADS=1" in found.mend


@pytest.mark.parametrize(("quota", "verdict"), [(None, "ok"), (2**30, "warning"), (2**20, "fault")])
def test_memory(monkeypatch: pytest.MonkeyPatch, quota: int | None, verdict: str) -> None:
    machine = namedtuple("Machine", "total available")(2**34, 2**34)
    monkeypatch.setattr(room.psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(room, "memory_quota", lambda: quota)
    assert room.memory().verdict == verdict


@pytest.mark.parametrize(("free", "verdict"), [(2**35, "ok"), (2**30, "warning"), (2**20, "fault")])
def test_room_on_disks(monkeypatch: pytest.MonkeyPatch, free: int, verdict: str) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: Usage(2**40, 0, free))
    assert room.home_disk().verdict == verdict
    assert room.temporary_disk().verdict == verdict


def test_shared_memory_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: Usage(2**26, 0, 2**26))
    assert room.shared_memory(tmp_path).verdict == "warning"
    assert room.shared_memory(tmp_path / "none").verdict == "not applicable"


# ---- THAW_HOME


def test_a_home_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "file" / "home"))
    assert home.home().verdict == "fault"


def test_a_home_that_cannot_be_written(thaw_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thaw_home.mkdir()
    assert home.home().verdict == "ok"
    thaw_home.chmod(0o500)
    try:
        if os.access(thaw_home, os.W_OK):
            # The administrator may write all the same.
            monkeypatch.setattr(home.os, "access", lambda *_: False)
        found = home.home()
    finally:
        thaw_home.chmod(0o700)
    assert found.verdict == "fault"
    assert "set thaw_home" in found.mend.lower()


@pytest.mark.parametrize(
    ("kind", "verdict"), [("ext4", "ok"), ("nfs4", "warning"), ("fuse.sshfs", "warning")]
)
def test_a_home_on_a_network(
    thaw_home: Path, monkeypatch: pytest.MonkeyPatch, kind: str, verdict: str
) -> None:
    mounted = [("/", "ext4"), (str(thaw_home.parent), kind), ("/elsewhere", "nfs4")]
    monkeypatch.setattr(home, "_mounts", lambda: mounted)
    assert home.home_file_system().verdict == verdict
    monkeypatch.setenv("THAW_DATABASE_URL", "postgresql://db/thaw")
    assert home.home_file_system().verdict == "ok"


def test_of_several_disks_at_one_place_the_last_counts() -> None:
    mounted = [("/", "overlay"), ("/a", "ext4"), ("/a", "nfs"), ("/ab", "cifs")]
    assert home.file_system(Path("/a/b"), mounted) == "nfs"
    assert home.file_system(Path("/abc"), mounted) == "overlay"
    assert home.file_system(Path("/a"), []) == ""
