"""Settings by environment: names and forms of THAW_... variables."""

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from engine.doctor.finding import Finding, fault, few, not_applicable, ok, warning
from engine.logs.lines import LEVELS

PREFIX = "THAW_"
HOST_NAME = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]")


def _is_number(text: str) -> bool:
    try:
        return 0.0 <= float(text) < 2**40
    except ValueError:
        return False


def _is_url(text: str) -> bool:
    try:
        return bool(make_url(text).drivername)
    except ArgumentError:
        return False


def _are_hosts(text: str) -> bool:
    return all(HOST_NAME.fullmatch(name.strip()) for name in text.split(",") if name.strip())


def _anything(text: str) -> bool:
    return True


# Each variable, the form of its value, and what to write instead.
VARIABLES: dict[str, tuple[Callable[[str], bool], str]] = {
    "THAW_ALLOWED_HOSTS": (_are_hosts, "names with commas between them, without http://"),
    "THAW_BENCH_FOLDER": (_anything, ""),
    "THAW_ALLOWED_EMAILS": (_anything, ""),
    "THAW_CACHE_GIB": (_is_number, "a number of GiB of at least 0, such as 20"),
    "THAW_DATABASE_URL": (_is_url, "an address such as postgresql+psycopg://user@host/thaw"),
    "THAW_HOME": (_anything, ""),
    "THAW_LOG_LEVEL": (lambda text: text.strip().upper() in LEVELS, f"one of {', '.join(LEVELS)}"),
    "THAW_MAX_RUNS": (
        lambda text: text.isdecimal() and int(text) >= 1,
        "a whole number of at least 1",
    ),
    "THAW_ROOTS": (_anything, ""),
    "THAW_STOP_SECONDS": (_is_number, "a number of seconds, such as 60"),
    "THAW_TOKEN": (lambda text: len(text.strip()) >= 16, "16 characters or more"),
    "THAW_WEIGHTS": (_anything, ""),
}


def variables() -> Finding:
    """Looks whether every THAW_... variable is one that Thaw knows, with a value of its form."""
    given = {name: value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    wrong = [
        f"{name} must be {VARIABLES[name][1]}"
        for name, value in given.items()
        if name in VARIABLES and value and not VARIABLES[name][0](value)
    ]
    unknown = [_unknown(name) for name in given if name not in VARIABLES]
    facts = {"known": sorted(set(given) & set(VARIABLES))}
    if wrong:
        return fault(
            f"Variables hold what they cannot: {'; '.join(wrong)}.",
            "Set them so, or unset them.",
            wrong=wrong,
            **facts,
        )
    if unknown:
        return warning(
            f"Thaw knows no variable {few(unknown, 6)}.",
            "Correct the name, or unset it; the README lists them all.",
            unknown=unknown,
            **facts,
        )
    return ok(f"{len(given)} THAW_ variables are set, all of them known.", **facts)


def roots() -> Finding:
    """Looks whether the folders that pages may read are there."""
    named = [text for text in os.environ.get("THAW_ROOTS", "").split(os.pathsep) if text]
    if not named:
        return not_applicable("THAW_ROOTS is not set: pages read where Thaw was started.")
    missing = [text for text in named if not _is_folder(text)]
    if missing:
        return fault(
            f"THAW_ROOTS names folders that are not there: {few(missing)}.",
            f"Name folders that are there, with {os.pathsep!r} between them.",
            missing=missing,
        )
    return ok(f"All {len(named)} folders of THAW_ROOTS are there.", roots=named)


def _is_folder(text: str) -> bool:
    try:
        return Path(text).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):
        return False


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.upper(), VARIABLES, n=1, cutoff=0.75)
    return f"{name} (is {near[0]} meant?)" if near else name
