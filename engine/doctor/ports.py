"""The port that the dashboard listens on."""

import socket
from pathlib import Path

import psutil

from engine.doctor.finding import Finding, ok, warning

HOST = "127.0.0.1"


def port(number: int) -> Finding:
    """Looks whether the dashboard could listen on a port, or does already."""
    try:
        with socket.create_server((HOST, number)):
            return ok(f"Port {number} is free.", port=number)
    except OSError as error:
        reason = error.strerror or str(error)
    process = _listener(number)
    who = "" if process is None else f"{' '.join(process[1])[:80]} (process {process[0]})"
    if process is not None and _is_thaw(process[1]):
        return ok(f"Port {number} is Thaw's: {who}.", port=number, by=who)
    other = number + 1 if 1024 <= number < 65535 else 8501
    found = f"is taken by {who}" if who else f"cannot be used ({reason})"
    return warning(
        f"Port {number} {found}.",
        f"End what uses it, or choose another: thaw --port {other}",
        port=number,
        by=who,
    )


def _listener(number: int) -> tuple[int, list[str]] | None:
    """Returns which process listens on a port and its command, as far as the system tells."""
    try:
        for one in psutil.net_connections(kind="tcp"):
            is_it = one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == number
            if is_it and one.pid:
                return one.pid, psutil.Process(one.pid).cmdline()
    except (psutil.Error, OSError):
        return None
    return None


def _is_thaw(command: list[str]) -> bool:
    return "engine.cli" in command or any(Path(word).name == "thaw" for word in command[:2])
