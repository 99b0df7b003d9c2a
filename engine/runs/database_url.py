"""Addresses of databases: the driver they mean, and how they are shown."""

import re
from urllib.parse import unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

HIDDEN = "***"
WITHOUT_DRIVER = re.compile(r"(postgres|postgresql)://")


def with_driver(url: str) -> str:
    """Returns an address with psycopg as its driver, where it is PostgreSQL's and names none."""
    return WITHOUT_DRIVER.sub("postgresql+psycopg://", url, count=1)


def is_address(url: str) -> bool:
    """Returns whether an address can be taken apart into user, password, host and so on."""
    return _parsed(url) is not None


def shown(url: str) -> str:
    """Returns an address as it may be shown and logged: without passwords."""
    parsed = _parsed(url)
    if parsed is None:
        scheme, separator, rest = url.partition("://")
        return scheme + separator + rest.rpartition("@")[2]
    hidden = {name: HIDDEN for name in parsed.query if "pass" in name.lower()}
    return unquote(parsed.update_query_dict(hidden).render_as_string(hide_password=True))


def cleared(text: str, url: str) -> str:
    """Returns what a driver said in one line, without the passwords in an address."""
    parsed = _parsed(url)
    secrets = set() if parsed is None else {str(parsed.password or ""), *_passwords(parsed)}
    for secret in secrets - {""}:
        text = text.replace(secret, HIDDEN)
    return " ".join(text.split())


def _passwords(parsed: URL) -> list[str]:
    values: list[str] = []
    for name, value in parsed.query.items():
        if "pass" in name.lower():
            values += [value] if isinstance(value, str) else value
    return values


def _parsed(url: str) -> URL | None:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    # An @ in a password that is not written as %40 leaves the password's end in the host.
    return None if "@" in (parsed.host or "") else parsed
