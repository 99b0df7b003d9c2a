"""No secret reaches a log."""

import logging
import time
from pathlib import Path

import pytest

from engine.logs import note, start_logs
from engine.logs.places import service_log
from engine.redact import redacted, redacted_value
from tests.engine.logged import started

__all__ = ["started"]


SECRETS = [
    ("postgresql://thaw:hunter2@db/thaw", "hunter2"),
    ("postgresql+psycopg://thaw:p@ss/w:rd@db:5432/thaw", "p@ss/w:rd"),
    ("https://user:s3cr3t@host/path?x=1", "s3cr3t"),
    ("HF_TOKEN=abcdefg", "abcdefg"),
    ('{"password": "open sesame"}', "sesame"),
    ("MY_SECRET='open sesame'", "sesame"),
    ("Authorization: Basic dXNlcjpwYXNz==", "dXNlcjpwYXNz"),
    ('{"Authorization": "token abcdef123"}', "abcdef123"),
    ("Authorization: Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl"),
    ("thaw fetch --token=zzzyyyxxx", "zzzyyyxxx"),
    ("thaw fetch --hub-token zzzyyyxxx", "zzzyyyxxx"),
    ("https://host/file?X-Amz-Signature=0123abcd&y=1", "0123abcd"),
    ("token hf_" + "a" * 30, "hf_aaa"),
    ("cloning with ghp_" + "B" * 36, "ghp_BBB"),
    ("AKIA" + "Q" * 16, "AKIAQ"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJzdWIiOiIxIn0"),
    ("api_key: 12345678", "12345678"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_are_taken_out_of_texts(text: str, secret: str) -> None:
    assert secret not in redacted(text)
    assert "***" in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "Thaw is at http://localhost:8501/live?run=3f9a2c1b",
        "hf:owner/name was fetched from https://huggingface.co/datasets/owner/name",
        "epoch 3 of 10: val/accuracy 0.91, 12:30:05",
        "/home/me@work/photos",
        "sqlite:////home/me/thaw.db",
        "The tokenizer has 512 tokens; no password is needed.",
        "a forward pass: 12 ms, basic blocks: 18, compass=3, design: flat",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_secrets_go_by_their_names_and_by_what_the_environment_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_API_KEY", "blue-elephant")
    monkeypatch.setenv("PWD", "/home/me/photos")
    assert redacted("/home/me/photos/a.jpg") == "/home/me/photos/a.jpg"
    monkeypatch.setenv("THAW_DATABASE_URL", "postgresql://me:tall giraffe@db/thaw")
    given = {"password": "x", "list": ["a blue-elephant"], "n": 3, "of": {"hub_token": "y"}}
    assert redacted_value(given) == {
        "password": "***",
        "list": ["a ***"],
        "n": 3,
        "of": {"hub_token": "***"},
    }
    assert redacted("it was tall giraffe") == "it was ***"


@pytest.mark.parametrize(
    "piece",
    ["://a:", "token=", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "bearer ", "a_", "'"],
)
def test_no_text_keeps_redaction_busy(piece: str) -> None:
    started = time.process_time()
    redacted(piece * (200_000 // len(piece)))
    assert time.process_time() - started < 20


def test_no_secret_reaches_a_log(started: Path) -> None:
    start_logs("command")
    for text, _ in SECRETS:
        logging.getLogger("some.library").warning(text)
        try:
            raise RuntimeError(text)
        except RuntimeError as error:
            note("runs", text, logging.ERROR, error=error, text=text, more=[{"a": text}])
    written = service_log().path.read_text()
    assert [secret for _, secret in SECRETS if secret in written] == []
    assert written.count("\n") == 2 * len(SECRETS)
