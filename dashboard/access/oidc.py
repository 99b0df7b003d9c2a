"""Signing in with OpenID Connect, as Streamlit's `[auth]` in secrets.toml configures it.

Streamlit talks to the provider and signs a cookie; here that cookie is read again, with
Streamlit's own functions and secret, for all that Streamlit does not guard.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamlit import auth_util, config
from streamlit.auth_util import get_cookie_with_chunks, get_secrets_auth_section
from streamlit.errors import StreamlitAuthError
from streamlit.runtime import secrets
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from engine.errors import ServeError

EMAILS = "THAW_ALLOWED_EMAILS"
DEFAULT = "default"
LEAST_SECRET = 16
# Of Streamlit; they must be reached by who is not signed in yet.
OPEN_PATHS = frozenset({"/auth/login", "/auth/logout", "/oauth2callback"})


@dataclass(frozen=True)
class SignIn:
    """Who is let in after signing in.

    Attributes:
        providers: names of the providers in secrets.toml; `default` is the one without a name.
        origin: scheme and host at which the dashboard is opened.
        emails: addresses, or `@` and a domain, of those who are let in; everybody the provider
            knows, if there are none.
    """

    providers: tuple[str, ...]
    origin: str
    emails: frozenset[str] = frozenset()

    @property
    def host(self) -> str:
        """The name under which the dashboard is opened."""
        return (urlsplit(self.origin).hostname or "").lower()

    def admits(self, cookies: Mapping[str, str]) -> bool:
        """Returns whether the cookies are those of somebody who is let in."""
        user = self.user(cookies)
        return user is not None and self.allows(user)

    def user(self, cookies: Mapping[str, str]) -> dict[str, Any] | None:
        """Returns what the provider told of who has these cookies, None if nobody signed in."""

        def single(name: str) -> bytes | None:
            value = cookies.get(name, "").encode("latin-1", "replace")
            return decode_signed_value(get_cookie_secret(), name, value)

        try:
            known = json.loads(get_cookie_with_chunks(single, USER_COOKIE_NAME) or b"null")
        except ValueError:
            return None
        if not isinstance(known, dict) or known.get("origin") != self.origin:
            return None
        return known if known.get("is_logged_in") is True else None

    def allows(self, user: Mapping[str, Any]) -> bool:
        """Returns whether somebody who signed in may come in."""
        if not self.emails:
            return True
        email = str(user.get("email") or "").strip().lower()
        # An address that the provider did not check can be anybody's.
        if user.get("email_verified") is False or email.count("@") != 1:
            return False
        return bool({email, email[email.index("@") :]} & self.emails)


def configured_sign_in() -> SignIn | None:
    """Returns the sign-in of secrets.toml, None where there is no `[auth]`.

    Raises:
        ServeError: it cannot work as it is.
    """
    _require_readable()
    try:
        section = get_secrets_auth_section().to_dict()
        if not section:
            _require_no_list()
            return None
        names = [
            name
            for name, part in section.items()
            if isinstance(part, Mapping) and name != "client_kwargs"
        ]
        if "client_id" in section:
            names.insert(0, DEFAULT)
        for name in names or [DEFAULT]:
            auth_util.validate_auth_credentials(name)
        uri = auth_util.get_validated_redirect_uri()
        origin = auth_util.get_origin_from_redirect_uri()
    except StreamlitAuthError as error:
        raise ServeError(f"The sign-in of secrets.toml cannot be used: {_line(error)}") from error
    _require_usable(section, uri, origin)
    assert origin is not None
    listed = os.environ.get(EMAILS, "").lower().split(",")
    return SignIn(tuple(names), origin, frozenset(one.strip() for one in listed) - {""})


def _require_readable() -> None:
    """Raises where there are secrets that cannot be read: Streamlit takes them for none."""
    try:
        if secrets.secrets_singleton.load_if_toml_exists():
            return
        there = [file for file in config.get_option("secrets.files") if Path(file).exists()]
    except OSError as error:
        raise ServeError(f"The secrets of Streamlit cannot be read ({error}).") from error
    if there:
        raise ServeError(
            f"{' or '.join(there)} cannot be read as TOML, so nobody knows whether people are to "
            "sign in; mend it, or move it away."
        )


def _require_no_list() -> None:
    if os.environ.get(EMAILS):
        raise ServeError(
            f"{EMAILS} says who may come in after signing in, but no secrets.toml has an [auth] "
            "to sign in with; add one, or take the variable away."
        )


def _require_usable(section: Mapping[str, Any], uri: str | None, origin: str | None) -> None:
    if not auth_util.is_authlib_installed():
        raise ServeError(
            "secrets.toml asks for a sign-in, which needs Authlib: pip install 'thaw-lab[oidc]'."
        )
    if uri is None or origin is None:
        raise ServeError(
            "The redirect_uri of secrets.toml must be Thaw's address with /oauth2callback at its "
            "end, for example https://thaw.example/oauth2callback."
        )
    if len(str(section.get("cookie_secret", ""))) < LEAST_SECRET:
        raise ServeError(
            f"The cookie_secret of secrets.toml has fewer than {LEAST_SECRET} characters and can "
            "be guessed; put a long random text there."
        )


def login_address(provider: str) -> str:
    """Returns the address of this dashboard that sends a browser to a provider."""
    return f"/auth/login?provider={auth_util.encode_provider_token(provider)}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
