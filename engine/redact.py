"""Keeps secrets out of what is shown, logged or kept: passwords in addresses, tokens, keys."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
# What other processes need not know: training opens no dashboard.
OF_THE_DASHBOARD = frozenset({"THAW_TOKEN", "STREAMLIT_SERVER_COOKIE_SECRET"})
# Variables that hold a secret, and go by no name that says so.
SECRETS = frozenset({"PGPASSWORD"})
ADDRESSES = ("THAW_DATABASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
# Shorter ones are words that texts are full of.
LEAST_LENGTH = 6
# What shells keep: the present folder, and the one before.
NO_SECRETS = frozenset({"PWD", "OLDPWD"})
_NAME = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|credentials?|cookie|signature|sig"
)
_VALUE = r"(?:\"[^\"]*\"|'[^']*'|(?!\*)[^\s'\"&,;)\]}]+)"
SECRET_NAME = re.compile(rf"(?i)(?:^|[-_. ])(?:{_NAME}|authorization)$")
# Without one of these, no pattern fits.
TELLING = re.compile(r"[:=]|--|_|(?i:bearer)|AKIA|ASIA|eyJ|sk-|xox|glpat")
_PATTERNS = (
    # An address: what stands between the user's name and the last @. A port is not that.
    (
        re.compile(r"(://[^\s:/@'\"<>]*):(?!\d{1,5}(?:[/?#\s'\"]|$))[^\s'\"<>]{0,512}@"),
        rf"\1:{HIDDEN}@",
    ),
    (
        re.compile(
            r"(?i)(authorization['\"]?\s*[=:]\s*['\"]?)(?:(?:bearer|basic|token)\s+)?[^\s'\"]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (
        re.compile(rf"(?i)((?:\b|_)(?:{_NAME})['\"]?\s*[=:]\s*){_VALUE}"),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(rf"(?i)(--(?:[\w-]*-)?(?:{_NAME})\s+){_VALUE}"),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"\b(?:hf_\w{16,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
            r"|sk-[\w-]{16,}|xox[abprs]-[\w-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}"
            r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
        ),
        HIDDEN,
    ),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END|$)", re.DOTALL), HIDDEN),
)


def redacted(text: str, known: Sequence[str] | None = None) -> str:
    """Returns a text in which every secret that is known, or looks like one, is `***`.

    Args:
        text: any.
        known: secrets; those of the environment where None.
    """
    for secret in known_secrets() if known is None else known:
        text = text.replace(secret, HIDDEN)
    if TELLING.search(text) is None:
        return text
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def redacted_value(value: Any, known: Sequence[str] | None = None, name: str = "") -> Any:
    """Returns plain data without secrets: in texts, and whatever goes by a secret's name.

    Args:
        value: any; what is no plain data becomes text.
        known: secrets; those of the environment where None.
        name: that it goes by.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    known = known_secrets() if known is None else known
    if isinstance(value, Mapping):
        return {str(key): redacted_value(one, known, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted_value(one, known, name) for one in value]
    if SECRET_NAME.search(name) and str(value):
        return HIDDEN
    return redacted(str(value), known)


def known_secrets() -> list[str]:
    """Returns secrets that the environment holds, the longest first."""
    named = [
        value
        for name, value in os.environ.items()
        if (SECRET_NAME.search(name) or name in SECRETS) and name not in NO_SECRETS
    ]
    for name in ADDRESSES:
        password = os.environ.get(name, "").partition("://")[2].rpartition("@")[0].partition(":")[2]
        named += [password, unquote(password)]
    return sorted({one for one in named if len(one) >= LEAST_LENGTH}, key=len, reverse=True)


def without_secrets(environment: dict[str, str]) -> dict[str, str]:
    """Returns an environment without what only the dashboard needs."""
    return {name: value for name, value in environment.items() if name not in OF_THE_DASHBOARD}
