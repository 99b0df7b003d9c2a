"""Keeps secrets out of what is shown, logged or kept: messages of errors can quote an address."""

import os
import re
from urllib.parse import unquote, urlsplit

# What other processes need not know: training opens no dashboard.
OF_THE_DASHBOARD = frozenset({"THAW_TOKEN", "STREAMLIT_SERVER_COOKIE_SECRET"})
VARIABLES = (
    *sorted(OF_THE_DASHBOARD),
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "PGPASSWORD"),
)
URLS = ("THAW_DATABASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
HIDDEN = "***"
# Shorter ones are words of any text.
LEAST_LENGTH = 6
IN_URL = re.compile(r"(\w[\w+.-]*://[^\s/@:'\"]*):[^\s'\"]*@")
NAMED = re.compile(
    r"(?i)\b([\w-]*(?:token|password|passwd|secret|api_?key|signature))=(?!\*)[^\s&'\"<>]+"
)
BEARER = re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]{8,}")
HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")


def redacted(text: str) -> str:
    """Returns a text without the secrets of this process, and without what looks like one."""
    for value in _known():
        text = text.replace(value, HIDDEN)
    text = IN_URL.sub(rf"\1:{HIDDEN}@", text)
    text = NAMED.sub(rf"\1={HIDDEN}", text)
    text = BEARER.sub(rf"\1 {HIDDEN}", text)
    return HUB_TOKEN.sub(HIDDEN, text)


def _known() -> list[str]:
    values = {os.environ.get(name, "") for name in VARIABLES}
    for name in URLS:
        try:
            password = urlsplit(os.environ.get(name, "")).password or ""
        except ValueError:
            continue
        values |= {password, unquote(password)}
    # The longest first: one may be a part of another.
    return sorted((one for one in values if len(one) >= LEAST_LENGTH), key=len, reverse=True)


def without_secrets(environment: dict[str, str]) -> dict[str, str]:
    """Returns an environment without what only the dashboard needs."""
    return {name: value for name, value in environment.items() if name not in OF_THE_DASHBOARD}
