"""The one rule of who is let in; the gate asks it for each request, and pages ask it again."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from dashboard.access.attempts import Attempts
from dashboard.access.oidc import SignIn, configured_sign_in
from dashboard.access.sessions import Sessions
from dashboard.access.tokens import Token, given_token, made_token
from dashboard.guard import LOOPBACK

Answer = Literal["in", "out", "wrong", "wait"]


@dataclass(frozen=True)
class Access:
    """What opens one dashboard; nothing is asked for where there is neither token nor sign-in.

    Attributes:
        token: opens it, if given.
        sign_in: whom a provider knows is let in, if given.
        port: where it listens.
    """

    token: Token | None
    sign_in: SignIn | None
    port: int
    attempts: Attempts = field(default_factory=Attempts)

    @property
    def is_open(self) -> bool:
        """Whether everybody who reaches it is let in."""
        return self.token is None and self.sign_in is None

    @property
    def sessions(self) -> Sessions | None:
        """The cookies for its token."""
        return Sessions(self.token.value, self.port) if self.token else None

    def admits_cookies(self, cookies: Mapping[str, str]) -> bool:
        """Returns whether a browser with these cookies is let in."""
        if self.is_open:
            return True
        sessions = self.sessions
        if sessions and sessions.is_valid(cookies.get(sessions.cookie_name, "")):
            return True
        return self.sign_in is not None and self.sign_in.admits(cookies)

    def answer(self, headers: Headers, address: str) -> Answer:
        """Returns what becomes of a request from a client, by its cookies or its bearer token."""
        if any(self.admits_cookies(cookies) for cookies in every_cookies(headers)):
            return "in"
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self.token is None:
            return "in" if self.is_open else "out"
        return self.try_token(value.strip(), address)

    def try_token(self, value: str, address: str) -> Answer:
        """Returns what becomes of a client that gives this token; wrong ones are counted."""
        if self.token is None:
            return "out"
        if self.attempts.wait_seconds(address):
            return "wait"
        if hmac.compare_digest(value.encode("utf-8", "replace"), self.token.value.encode()):
            self.attempts.passed(address)
            return "in"
        self.attempts.failed(address)
        return "wrong"


def every_cookies(headers: Headers) -> list[dict[str, str]]:
    """Returns the cookies of a request as tables, more than one where a name is there twice.

    A program on another port of the same machine can set a cookie of the same name; it must not
    hide the right one.
    """
    pairs = [
        one
        for line in headers.getlist("cookie")[:10]
        for text in line.split(";")[:200]
        for one in cookie_parser(text).items()
    ]
    tables: list[dict[str, str]] = [{}]
    for name, value in pairs:
        table = next((table for table in tables if name not in table), None)
        if table is None:
            tables.append(table := {})
        table[name] = value
    return tables


def access_for(host: str, port: int, token_file: Path | None) -> Access:
    """Returns what opens a dashboard at this address.

    A token that was given and a sign-in that is configured hold everywhere, so behind a reverse
    proxy too; an address that others reach gets a token where neither is there.

    Raises:
        ServeError: the token or the sign-in cannot be used.
    """
    token = given_token(token_file)
    sign_in = configured_sign_in()
    if token is None and sign_in is None and not _is_this_machine_only(host):
        token = made_token()
    return Access(token, sign_in, port)


def _is_this_machine_only(host: str) -> bool:
    return host.lower() in LOOPBACK or host.startswith("127.")
