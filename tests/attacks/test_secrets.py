"""Finding a secret in what is printed, kept, or handed to the processes that train."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.redact import redacted
from engine.runs.process import start_detached
from tests.attacks.raw import ask
from tests.serving import Dashboard

TOKEN = "the-token-of-this-dashboard-42"
PASSWORD = "p@ss/w0rd-of-the-database"
SECRETS = {
    "THAW_TOKEN": TOKEN,
    "HF_TOKEN": "hf_0123456789abcdefghijkl",
    "STREAMLIT_SERVER_COOKIE_SECRET": "the-secret-that-signs-cookies",
    "PGPASSWORD": "another-password",
}
QUOTED = PASSWORD.replace("@", "%40").replace("/", "%2F")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard on this machine alone, to which a token was given by THAW_TOKEN."""
    served = Dashboard(tmp_path_factory.mktemp("told") / "home", environment=SECRETS)
    served.start()
    yield served
    served.stop()


@pytest.mark.parametrize("path", ["/", "/thaw/events", "/_stcore/health"])
def test_a_given_token_holds_on_this_machine_too(told: Dashboard, path: str) -> None:
    assert ask(told, path).status == 401
    assert ask(told, path, headers={"Authorization": f"Bearer {TOKEN}"}).status in {200, 204}


def test_no_file_of_the_dashboard_holds_a_secret(told: Dashboard) -> None:
    ask(told, f"/compare?token={TOKEN}")
    ask(told, "/?token=a-wrong-token-that-is-a-secret-too")
    ask(told, headers={"Authorization": "Bearer a-wrong-token-that-is-a-secret-too"})
    searched = [file for file in told.home.rglob("*") if file.is_file()]
    assert told.home / "server.log" in searched
    for file in searched:
        content = file.read_bytes()
        for secret in (*SECRETS.values(), "a-wrong-token-that-is-a-secret-too"):
            assert secret.encode() not in content, file


def test_no_answer_holds_the_token(told: Dashboard) -> None:
    answers = [
        ask(told, f"/?token={TOKEN}"),
        ask(told, "/?token=wrong", headers={"Accept": "text/html"}),
        ask(told, headers={"Authorization": f"Bearer {TOKEN}"}),
    ]
    for answer in answers:
        assert TOKEN not in str(answer.headers)
        assert TOKEN.encode() not in answer.body


def test_training_does_not_learn_what_opens_the_dashboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "say_environment.py").write_text("import os\nprint(*os.environ.items())\n")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    start_detached(["say_environment"], tmp_path / "log").wait(timeout=60)
    said = (tmp_path / "log").read_text()
    assert "PYTHONPATH" in said
    assert SECRETS["THAW_TOKEN"] not in said
    assert SECRETS["STREAMLIT_SERVER_COOKIE_SECRET"] not in said
    assert SECRETS["HF_TOKEN"] in said, "downloads need it"


@pytest.mark.parametrize(
    "text",
    [
        f"could not reach postgresql://me:{QUOTED}@db.example/thaw",
        f"could not reach postgresql+psycopg://me:{QUOTED}@db.example:5432/thaw?sslmode=on",
        f"password {PASSWORD} was refused",
        "401 for https://huggingface.co/x?token=hf_0123456789abcdefghijkl&y=1",
        "header hf_0123456789abcdefghijkl is not valid",
        f"GET /?token={TOKEN} failed",
        f"Authorization: Bearer {TOKEN}",
        "https://user:some-password@proxy.example:3128 did not answer",
        "connect(host=db, password=another-password, user=me)",
        "https://bucket.example/x?X-Amz-Signature=0123456789abcdef0123",
    ],
)
def test_secrets_in_messages_are_covered(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("THAW_DATABASE_URL", f"postgresql://me:{QUOTED}@db.example/thaw")
    shown = redacted(text)
    hidden = (*SECRETS.values(), PASSWORD, QUOTED, "some-password", "0123456789abcdef0123")
    assert "***" in shown
    assert not any(secret in shown for secret in hidden)
    assert len(shown) > 15, "the rest is still told"


@pytest.mark.parametrize(
    "text",
    [
        "There is no folder /home/me/photos; check the path.",
        "sqlite:////home/me/thaw.db",
        "http://localhost:8501/compare?run=3f9a2c1b",
        "Expected tokens=128 of the backbone's 50 tensors",
        "C:\\photos: a@b",
    ],
)
def test_what_is_no_secret_is_told(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{QUOTED}@127.0.0.1:1/thaw",
        f"postgresql://me:{QUOTED}@127.0.0.1:no-port/thaw",
        f"postgresql+nothing://me:{QUOTED}@127.0.0.1/thaw",
        f"nonsense://me:{QUOTED}@127.0.0.1/thaw",
        f"postgresql://127.0.0.1:1/thaw?user=me&password={QUOTED}",
    ],
)
def test_a_command_that_fails_does_not_tell_the_password(url: str, tmp_path: Path) -> None:
    environment = os.environ | {"THAW_DATABASE_URL": url, "THAW_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "engine.cli", "runs", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "cannot be opened" in output
    assert not re.search(f"{re.escape(QUOTED)}|{re.escape(PASSWORD)}", output)
    assert "Traceback" not in output


@pytest.mark.parametrize("option", ["--token", "--password"])
def test_the_token_is_no_argument(option: str) -> None:
    command = [sys.executable, "-m", "engine.cli", "serve", option, TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
