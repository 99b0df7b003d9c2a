"""The port that the dashboard listens on."""

import socket

import psutil

from engine.doctor.finding import Finding, ok, warning

HOST = "127.0.0.1"
OWN = ("thaw", "engine.cli")


def port(number: int) -> Finding:
    """Looks whether the dashboard could listen on a port, or does already."""
    try:
        with socket.create_server((HOST, number)):
            return ok(f"Port {number} is free.", port=number)
    except OSError as error:
        reason = error.strerror or str(error)
    who = _listener(number)
    if any(word in who for word in OWN):
        return ok(f"Port {number} is Thaw's: {who}.", port=number, by=who)
    other = number + 1 if 1024 <= number < 65535 else 8501
    found = (
        f"Port {number} is taken by {who}" if who else f"Port {number} cannot be used ({reason})"
    )
    mend = f"End what uses it, or choose another: thaw --port {other}"
    return warning(f"{found}.", mend, port=number, by=who)


def _listener(number: int) -> str:
    """Returns which process listens on a port, as far as the system tells."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return ""
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == number and one.pid:
            try:
                command = " ".join(psutil.Process(one.pid).cmdline())[:80]
            except psutil.Error:
                command = "a process"
            return f"{command} (process {one.pid})"
    return ""
