"""Connections whose other end is gone without a word, or has stopped reading."""

import os
import socket
import sys

import psutil

DROP_SECONDS = 30


def drop_the_silent(seconds: float = DROP_SECONDS) -> int:
    """Makes the kernel drop what takes nothing for so long; returns how many sockets were told.

    A machine that falls asleep or loses its network closes nothing: what was sent to it would be
    kept for a quarter of an hour. Connections inherit this from the socket that listens, and the
    web server lets nobody else at that one. Only Linux has it; elsewhere its own time limits hold.

    Args:
        seconds: how long sent bytes may wait for the other end to take them.
    """
    if sys.platform != "linux":
        return 0
    try:
        connections = psutil.Process().net_connections("tcp")
    except psutil.Error:
        # A locked-down machine: the web server's own time limits have to do.
        return 0
    listening = [one.fd for one in connections if one.status == psutil.CONN_LISTEN and one.fd >= 0]
    for number in listening:
        with socket.socket(fileno=os.dup(number)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * seconds))
    return len(listening)
