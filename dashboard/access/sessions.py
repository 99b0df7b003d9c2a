"""The cookie that a browser gets for the token, so that it need not keep the token itself.

It is signed with a key that follows from the token: it outlives a restart, nobody else can make
one, and another token ends all of them.
"""

import hashlib
import hmac
import re
import secrets
import time

LIFETIME_SECONDS = 14 * 24 * 3600
VALUE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")


class Sessions:
    """Makes and checks the cookies of one dashboard."""

    def __init__(self, token: str, port: int):
        """Takes the port into the name: browsers show a cookie to all ports of a machine."""
        self.cookie_name = f"thaw_session_{port}"
        self._key = hmac.digest(token.encode(), b"thaw session cookie", hashlib.sha256)

    def make(self) -> str:
        """Returns the value of a new cookie, which ends by itself."""
        signed = f"{int(time.time()) + LIFETIME_SECONDS}.{secrets.token_hex(16)}"
        return f"{signed}.{self._mark(signed)}"

    def is_valid(self, value: str) -> bool:
        """Returns whether the value was made here and has not ended."""
        match = VALUE.fullmatch(value)
        if match is None:
            return False
        ends, nonce, mark = match.groups()
        made_here = hmac.compare_digest(mark, self._mark(f"{ends}.{nonce}"))
        return made_here and int(ends) > time.time()

    def _mark(self, signed: str) -> str:
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()
