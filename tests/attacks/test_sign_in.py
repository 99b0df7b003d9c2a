"""Coming in where people sign in with a provider, without being one of those who may."""

import http.cookiejar
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from tests.attacks.raw import HANDSHAKE, ask, own_origin
from tests.oidc_provider import Provider
from tests.serving import Dashboard, free_port

pytest.importorskip("authlib", reason="Authlib is not installed: pip install 'thaw-lab[oidc]'")
pytest.importorskip("httpx", reason="httpx is not installed: pip install 'thaw-lab[oidc]'")

ADA = {"sub": "7", "email": "ada@lab.example", "email_verified": True}
SECRET = "a-long-text-that-nobody-guesses-0123456789"
TOKEN = "a-token-for-scripts-0123456789"
USER, TOKENS = "_streamlit_user", "_streamlit_user_tokens"
OPEN = ["/auth/login", "/auth/logout", "/oauth2callback"]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    started = Provider(ADA)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Dashboard]:
    """A dashboard on this machine, as behind a proxy, where members of a lab sign in."""
    folder = tmp_path_factory.mktemp("signed")
    port = free_port()
    (folder / ".streamlit").mkdir()
    secrets = provider.secrets(f"http://127.0.0.1:{port}")
    (folder / ".streamlit" / "secrets.toml").write_text(secrets)
    served = Dashboard(
        folder / "home",
        port,
        environment={"THAW_ALLOWED_EMAILS": "@lab.example, Bob@Work.example", "THAW_TOKEN": TOKEN},
        folder=folder,
    )
    served.start()
    yield served
    served.stop()


def sign_in(dashboard: Dashboard) -> tuple[int, dict[str, str]]:
    """Returns the status of the page after signing in, and the cookies."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    try:
        with browser.open(f"{dashboard.url}/thaw/signin?provider=default", timeout=30) as answer:
            status = answer.status
    except urllib.error.HTTPError as refused:
        status = refused.code
        refused.close()
    return status, {cookie.name: cookie.value or "" for cookie in jar}


def as_header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def forged(dashboard: Dashboard, name: str = USER, secret: str = SECRET, **facts: Any) -> str:
    """Returns a cookie such as Streamlit makes, with other facts."""
    told = ADA | {"origin": dashboard.url, "is_logged_in": True, "provider": "default"} | facts
    return f"{USER}={create_signed_value(secret, name, json.dumps(told)).decode()}"


@pytest.mark.parametrize(
    "path", ["/", "/thaw/events", "/thaw/plotly.js", "/media/x", "/_stcore/health", "/static/x"]
)
def test_nothing_is_served_to_who_did_not_sign_in(signed: Dashboard, path: str) -> None:
    assert ask(signed, path).status == 401


@pytest.mark.parametrize("path", OPEN)
def test_the_way_to_the_provider_gives_no_cookie(signed: Dashboard, path: str) -> None:
    for query in ("", "?provider=default", "?state=1&code=2", "?error=x&state=1"):
        answer = ask(signed, path + query)
        assert answer.status == 302
        assert answer.headers["location"] == "/"
        assert "true" not in answer.cookie
        assert ask(signed, headers={"Cookie": answer.cookie}).status == 401
    assert ask(signed, path, "POST", own_origin(signed), b"a=b").status == 401


def test_who_may_come_in_comes_in(signed: Dashboard) -> None:
    status, cookies = sign_in(signed)
    assert status == 200
    for path in ("/", "/thaw/plotly.js", "/_stcore/health"):
        assert ask(signed, path, headers=as_header(cookies)).status == 200
    told = HANDSHAKE | own_origin(signed)
    assert ask(signed, "/_stcore/stream", headers=told | as_header(cookies)).status == 101
    assert ask(signed, "/_stcore/stream", headers=told).status == 401


@pytest.mark.parametrize(
    "person",
    [
        {"sub": "8", "email": "eve@evil.example", "email_verified": True},
        {"sub": "8", "email": "ada@lab.example", "email_verified": False},
        {"sub": "8", "email": "eve@lab.example.evil.example", "email_verified": True},
        {"sub": "8", "email": "eve@evil-lab.example", "email_verified": True},
        {"sub": "8", "email": "eve@evil.example@lab.example", "email_verified": True},
        {"sub": "8", "email": "@lab.example@evil.example", "email_verified": True},
        {"sub": "8", "email": "alice@work.example", "email_verified": True},
        {"sub": "8", "email": ""},
        {"sub": "8"},
    ],
    ids=lambda person: f"{person.get('email')}, verified: {person.get('email_verified')}",
)
def test_who_is_not_on_the_list_stays_out(
    signed: Dashboard, provider: Provider, person: dict[str, Any]
) -> None:
    provider.person = person
    try:
        status, cookies = sign_in(signed)
    finally:
        provider.person = ADA
    assert status == 401
    assert ask(signed, "/thaw/plotly.js", headers=as_header(cookies)).status == 401


def test_who_is_on_the_list_by_name_comes_in(signed: Dashboard, provider: Provider) -> None:
    provider.person = {"sub": "9", "email": "bob@work.example"}
    try:
        assert sign_in(signed)[0] == 200
    finally:
        provider.person = ADA


def test_cookies_that_streamlit_did_not_sign_are_refused(signed: Dashboard) -> None:
    right = forged(signed)
    assert ask(signed, headers={"Cookie": right}).status == 200, "the forger knows the format"
    wrong = {
        "signed with another secret": forged(signed, secret="another secret of some length"),
        "the signature of another cookie": forged(signed, name=TOKENS),
        "of another dashboard": forged(signed, origin="http://evil.example"),
        "not signed in": forged(signed, is_logged_in=False),
        "signed in as a text": forged(signed, is_logged_in="true"),
        "not signed": f"{USER}={json.dumps({'is_logged_in': True})}",
        "cut short": right[:-4],
        "a number of parts": f"{USER}=chunks-1000000000",
        "no JSON": f"{USER}={create_signed_value(SECRET, USER, '][').decode()}",
        "a list": f"{USER}={create_signed_value(SECRET, USER, '[]').decode()}",
        "parts that are missing": f"{USER}="
        f"{create_signed_value(SECRET, USER, 'chunks-9999').decode()}",
    }
    for what, one in wrong.items():
        assert ask(signed, headers={"Cookie": one}).status == 401, what


@pytest.mark.parametrize("provider_name", ["", "google", "default/../x", "http://evil.example"])
def test_no_other_provider_can_be_named(signed: Dashboard, provider_name: str) -> None:
    answer = ask(signed, f"/thaw/signin?provider={provider_name}")
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_a_script_may_use_the_token_beside_it(signed: Dashboard) -> None:
    assert ask(signed, headers={"Authorization": f"Bearer {TOKEN}"}).status == 200
    assert ask(signed, headers={"Authorization": f"Bearer {TOKEN}x"}).status == 401


def test_no_secret_of_the_sign_in_is_printed(signed: Dashboard) -> None:
    log = Path(signed.home / "server.log").read_text()
    assert "It lets in" in log
    for secret in (TOKEN, SECRET, "a-secret-of-the-provider", "an-access-token"):
        assert secret not in log
