"""What need not be looked through for garbage again and again: what modules hold."""

import gc
import sys
import time
from threading import Lock

# What sessions held when the last modules came would else be kept for good, once it is garbage.
AGAIN_SECONDS = 300.0

_lock = Lock()
_num_modules = 0
_spared_at = 0.0


def spare_modules() -> bool:
    """Takes all that is there out of Python's collections: after new modules, and now and then.

    Streamlit collects after each run of a page. Nine of ten objects that this looks through belong
    to modules and stay for good; it was most of what the server computed for people who watch.
    What other sessions hold at that moment is looked through again the next time.

    Returns:
        Whether it was time.
    """
    global _num_modules, _spared_at
    with _lock:
        num, now = len(sys.modules), time.monotonic()
        if num == _num_modules and now - _spared_at < AGAIN_SECONDS:
            return False
        _num_modules, _spared_at = num, now
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        return True
