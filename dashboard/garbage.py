"""What need not be looked through for garbage again and again: what modules hold."""

import gc
import sys
from threading import Lock

_lock = Lock()
_num_modules = 0


def spare_modules() -> bool:
    """Takes all that is there out of Python's collections, once new modules were loaded.

    Streamlit collects after each run of a page. Nine of ten objects that this looks through belong
    to modules and stay for good; it was most of what the server computed for people who watch.
    What other sessions hold at that moment is looked through again when the next modules come.

    Returns:
        Whether modules had come.
    """
    global _num_modules
    with _lock:
        num = len(sys.modules)
        if num == _num_modules:
            return False
        _num_modules = num
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        return True
