"""The token that opens the dashboard: from a file, from the environment, or made here and kept.

It is never an argument of a command: every user of a machine can list those.
"""

import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ServeError
from engine.home import thaw_home

VARIABLE = "THAW_TOKEN"
LEAST_LENGTH = 16
MOST_LENGTH = 512
# 256 bits.
MADE_BYTES = 32
USABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Token:
    """What opens the dashboard.

    Attributes:
        value: the token; it is not shown where the record is printed.
        is_made: Thaw made it, so that nobody knows it yet.
    """

    value: str
    is_made: bool = False

    def __repr__(self) -> str:
        return f"Token(is_made={self.is_made})"


def given_token(file: Path | None) -> Token | None:
    """Returns the token that a person chose, from a file or THAW_TOKEN; None if there is none.

    THAW_TOKEN is taken out of the environment, so that no process that is started inherits it.

    Raises:
        ServeError: it is too short, or the file cannot be read.
    """
    of_environment = os.environ.pop(VARIABLE, None)
    if file is not None:
        return Token(_checked(_read(file), f"The token in {file}"))
    if of_environment is not None:
        return Token(_checked(of_environment.strip(), f"The token in {VARIABLE}"))
    return None


def made_token() -> Token:
    """Returns the token that is kept in THAW_HOME, made at random where there is none yet.

    One that others could read or write is replaced.

    Raises:
        ServeError: it cannot be read or written.
    """
    file = thaw_home() / "token"
    try:
        if kept := _kept(file):
            return Token(kept, is_made=True)
        return Token(_write(file), is_made=True)
    except OSError as error:
        raise ServeError(
            f"The token in {file} cannot be read or written ({error.strerror or error}); remove "
            "that file, or name another with --token-file."
        ) from error


def _kept(file: Path) -> str | None:
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(opened, "rb") as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077:
            return None
        text = stream.read(MOST_LENGTH).decode("ascii", "replace").strip()
    return text if len(text) >= LEAST_LENGTH and USABLE.fullmatch(text) else None


def _write(file: Path) -> str:
    token = secrets.token_urlsafe(MADE_BYTES)
    part = file.with_name(f".token.{secrets.token_hex(8)}.part")
    opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "w", encoding="ascii") as stream:
        stream.write(f"{token}\n")
    part.replace(file)
    return token


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_LENGTH + 2)
    except OSError as error:
        raise ServeError(
            f"The token file {file} cannot be read ({error.strerror or error}); name one that can."
        ) from error
    return content.decode("utf-8", "replace").strip()


def _checked(token: str, subject: str) -> str:
    make = "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes a good one."
    if len(token) < LEAST_LENGTH:
        raise ServeError(
            f"{subject} has {len(token)} characters, and fewer than {LEAST_LENGTH} can be guessed; "
            f"{make}"
        )
    if len(token) > MOST_LENGTH or not USABLE.fullmatch(token):
        raise ServeError(
            f"{subject} must be one word of {LEAST_LENGTH} to {MOST_LENGTH} letters, digits and "
            f"signs of ASCII; {make}"
        )
    return token
