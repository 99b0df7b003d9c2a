"""What modules hold is left out of collections; what pages leave behind is not."""

import subprocess
import sys

# In a process of its own: what is spared stays so for all that runs in it later.
CODE = """
import gc
from dashboard import garbage
from dashboard.garbage import spare_modules

class Ring:
    def __init__(self):
        self.itself = self
    def __del__(self):
        gone.append(1)

gone = []
early = Ring()
assert spare_modules()
spared = gc.get_freeze_count()
assert spared > 1_000, spared
assert len(gc.get_objects()) < spared / 10
assert not spare_modules()

late = Ring()
del late
gc.collect()
assert len(gone) == 1, "garbage of a page is collected as before"

del early
gc.collect()
assert len(gone) == 1
import wave
assert spare_modules()
assert len(gone) == 2, "what was held in that moment is collected with the next modules"

held = Ring()
import mailbox
assert spare_modules()
del held
gc.collect()
assert len(gone) == 2 and not spare_modules()
garbage.AGAIN_SECONDS = 0.0
assert spare_modules()
assert len(gone) == 3, "what was held is not kept until modules come that may never come"
print("all")
"""


def test_modules_are_spared_and_pages_are_not() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stdout == "all\n", done.stderr
