"""Slows down who guesses: after some wrong tokens each further one has to wait longer."""

import ipaddress
import math
import time
from collections import OrderedDict

FREE = 5
LONGEST_SECONDS = 60.0
MOST_CLIENTS = 1024


class Attempts:
    """Counts the wrong tokens of each client; those that were not seen for long are forgotten."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_seconds(self, address: str) -> int:
        """Returns for how long a client may not try, 0 where it may."""
        _, until = self._wrong.get(_client(address), (0, 0.0))
        return max(math.ceil(until - time.monotonic()), 0)

    def failed(self, address: str) -> None:
        """Counts a wrong token."""
        client = _client(address)
        count = self._wrong.pop(client, (0, 0.0))[0] + 1
        pause = min(2.0 ** min(count - FREE, 10), LONGEST_SECONDS) if count >= FREE else 0.0
        self._wrong[client] = (count, time.monotonic() + pause)
        while len(self._wrong) > MOST_CLIENTS:
            self._wrong.popitem(last=False)

    def passed(self, address: str) -> None:
        """Forgets the wrong tokens of a client that has the right one."""
        self._wrong.pop(_client(address), None)


def _client(address: str) -> str:
    """Returns what an address counts as: whoever has one of IPv6 has the whole network of it."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if known.version == 6:
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)
