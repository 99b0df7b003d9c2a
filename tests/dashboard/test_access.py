"""Which token opens the dashboard, where it is asked for, and what the page that asks says."""

import os
import stat
import time
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from dashboard.access.attempts import FREE, LONGEST_SECONDS, MOST_CLIENTS, Attempts
from dashboard.access.login_page import login_page
from dashboard.access.oidc import SignIn, configured_sign_in
from dashboard.access.rule import Access, access_for, every_cookies
from dashboard.access.sessions import LIFETIME_SECONDS, Sessions
from dashboard.access.tokens import Token, given_token, made_token
from engine.errors import ServeError

GOOD = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THAW_TOKEN", raising=False)
    monkeypatch.setattr("dashboard.access.rule.configured_sign_in", lambda: None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2", "LOCALHOST"])
def test_this_machine_alone_is_asked_for_nothing(host: str) -> None:
    assert access_for(host, 8501, None).is_open


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lab-machine", "128.0.0.1"])
def test_where_others_come_a_token_is_made_and_kept(host: str, thaw_home: Path) -> None:
    first = access_for(host, 8501, None)
    assert first.token is not None
    assert first.token.is_made
    assert len(first.token.value) >= 43
    assert access_for(host, 8501, None).token == first.token
    assert stat.S_IMODE((thaw_home / "token").stat().st_mode) == 0o600


def test_a_token_that_others_could_read_is_replaced(thaw_home: Path) -> None:
    first = made_token()
    (thaw_home / "token").chmod(0o644)
    second = made_token()
    assert second.value != first.value
    assert stat.S_IMODE((thaw_home / "token").stat().st_mode) == 0o600


@pytest.mark.parametrize("kept", ["", "short", "two words are no token", "\0" * 40])
def test_what_is_no_token_is_replaced(thaw_home: Path, kept: str) -> None:
    made_token()
    (thaw_home / "token").write_text(kept)
    assert len(made_token().value) >= 43


def test_a_link_in_its_place_is_not_followed(thaw_home: Path, tmp_path: Path) -> None:
    made_token()
    (tmp_path / "other").write_text("chosen-by-somebody-else")
    (thaw_home / "token").unlink()
    (thaw_home / "token").symlink_to(tmp_path / "other")
    with pytest.raises(ServeError, match="token"):
        made_token()
    assert (tmp_path / "other").read_text() == "chosen-by-somebody-else"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_given_token_holds_everywhere(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thaw_home: Path
) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"{GOOD}\n")
    assert access_for(host, 8501, file).token == Token(GOOD)
    monkeypatch.setenv("THAW_TOKEN", f"{GOOD}-2")
    assert access_for(host, 8501, None).token == Token(f"{GOOD}-2")
    assert not (thaw_home / "token").exists()


def test_no_process_inherits_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_TOKEN", GOOD)
    assert given_token(None) == Token(GOOD)
    assert "THAW_TOKEN" not in os.environ


@pytest.mark.parametrize("token", ["", "   ", "fifteen-letters", "with a space inside", "ü" * 20])
def test_a_poor_token_is_refused_in_a_sentence(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token.txt"
    file.write_text(token, encoding="utf-8")
    for told, given in ((str(file), file), ("THAW_TOKEN", None)):
        monkeypatch.setenv("THAW_TOKEN", token)
        with pytest.raises(ServeError, match=r"secrets\.token_urlsafe") as caught:
            given_token(given)
        assert told in str(caught.value)
        if token.strip():
            assert token not in str(caught.value)


def test_a_token_of_sixteen_is_long_enough(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("sixteen-letters!")
    assert given_token(tmp_path / "t") == Token("sixteen-letters!")


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"nowhere"):
        given_token(tmp_path / "nowhere")


def test_the_token_is_not_printed_by_accident() -> None:
    assert GOOD not in repr(Token(GOOD))
    assert GOOD not in repr(Access(Token(GOOD), None, 1))


def test_a_session_ends_and_another_token_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(GOOD, 8501)
    value = sessions.make()
    assert sessions.is_valid(value)
    assert not Sessions(f"{GOOD}x", 8501).is_valid(value)
    assert sessions.make() != value
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + LIFETIME_SECONDS + 1)
    assert not sessions.is_valid(value)


def test_guesses_wait_longer_and_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    attempts, waits = Attempts(), []
    for _ in range(FREE + 10):
        attempts.failed("192.0.2.1")
        waits.append(attempts.wait_seconds("192.0.2.1"))
    assert waits[: FREE - 1] == [0] * (FREE - 1)
    assert waits[FREE - 1 :] == sorted(waits[FREE - 1 :])
    assert waits[-1] == LONGEST_SECONDS
    assert attempts.wait_seconds("192.0.2.2") == 0
    clock[0] += LONGEST_SECONDS
    assert attempts.wait_seconds("192.0.2.1") == 0
    attempts.passed("192.0.2.1")
    attempts.failed("192.0.2.1")
    assert attempts.wait_seconds("192.0.2.1") == 0


def test_guessers_do_not_fill_the_memory() -> None:
    attempts = Attempts()
    for number in range(3 * MOST_CLIENTS):
        attempts.failed(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(attempts._wrong) == MOST_CLIENTS


def test_a_network_of_ipv6_is_one_client() -> None:
    attempts = Attempts()
    for number in range(FREE):
        attempts.failed(f"2001:db8::{number:x}")
    assert attempts.wait_seconds("2001:db8::ffff")
    assert not attempts.wait_seconds("2001:db8:0:1::1")


def test_both_cookies_of_one_name_are_seen() -> None:
    tables = every_cookies(Headers({"cookie": "a=1; b=2; a=3"}))
    assert tables == [{"a": "1", "b": "2"}, {"a": "3"}]


def test_the_page_shows_texts_of_strangers_as_texts() -> None:
    evil = "<script>alert(1)</script>\"'>"
    sign_in = SignIn((evil,), "http://localhost:8501")
    page = login_page(f"/?x={evil}", True, True, sign_in, fault=evil)
    page += login_page("/", True, True, sign_in, stranger=evil)
    assert "<script" not in page.lower()
    assert "\"'>" not in page


def test_the_page_says_where_the_token_is() -> None:
    assert "printed when it was started" in login_page("/", True, True, None)
    assert "--token-file" in login_page("/", True, False, None)
    assert 'name="token"' not in login_page("/", False, False, SignIn(("default",), "http://x"))


@pytest.fixture
def secrets_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The secrets.toml of where Thaw is started, which is to be written."""
    from streamlit import auth_util, config
    from streamlit.runtime import secrets
    from streamlit.runtime.secrets import Secrets

    (tmp_path / ".streamlit").mkdir()
    file = tmp_path / ".streamlit" / "secrets.toml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_ALLOWED_EMAILS", raising=False)
    fresh = Secrets()
    for module in (auth_util, secrets):
        monkeypatch.setattr(module, "secrets_singleton", fresh)
    real = config.get_option
    told = {"secrets.files": [str(file)]}
    monkeypatch.setattr(config, "get_option", lambda name: told.get(name) or real(name))
    return file


def test_other_secrets_are_no_sign_in(secrets_file: Path) -> None:
    assert configured_sign_in() is None
    secrets_file.write_text('key = "value"')
    assert configured_sign_in() is None


@pytest.mark.parametrize("text", ["[auth", '[auth]\nredirect_uri = "x', "= 1", "\0"])
def test_secrets_that_cannot_be_read_let_nobody_in(secrets_file: Path, text: str) -> None:
    secrets_file.write_text(text)
    with pytest.raises(ServeError, match=r"secrets\.toml cannot be read"):
        configured_sign_in()


def test_a_list_of_people_without_a_sign_in_is_refused(
    secrets_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_ALLOWED_EMAILS", "ada@lab.example")
    with pytest.raises(ServeError, match="THAW_ALLOWED_EMAILS"):
        configured_sign_in()


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        ('client_id = "a"', "redirect_uri"),
        ('redirect_uri = "http://x/oauth2callback"', "cookie_secret"),
        (
            'redirect_uri = "http://x/oauth2callback"\ncookie_secret = "0123456789abcdef"',
            "client_id",
        ),
        (
            'redirect_uri = "http://x/other"\ncookie_secret = "0123456789abcdef"\n'
            'client_id = "a"\nclient_secret = "b"\nserver_metadata_url = "http://y"',
            "redirect_uri",
        ),
        (
            'redirect_uri = "http://x/oauth2callback"\ncookie_secret = "short"\n'
            'client_id = "a"\nclient_secret = "b"\nserver_metadata_url = "http://y"',
            "cookie_secret",
        ),
    ],
    ids=["address", "secret", "client", "other address", "short secret"],
)
def test_half_a_sign_in_is_refused_in_a_sentence(
    secrets: str, told: str, secrets_file: Path
) -> None:
    pytest.importorskip("authlib", reason="Authlib is not installed: extra `oidc`")
    secrets_file.write_text(f"[auth]\n{secrets}\n")
    with pytest.raises(ServeError, match=told):
        configured_sign_in()
