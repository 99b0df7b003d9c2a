"""Makes all checks at once, each in a thread of its own and for a bounded time."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from engine.doctor.finding import Finding, Named

Check = Callable[[], Finding]
MOST_SECONDS = 90.0


def examine(checks: Mapping[str, Check], most_seconds: float = MOST_SECONDS) -> list[Named]:
    """Returns what each check found, in their order; one that fails or hangs is a fault itself.

    Args:
        checks: by name.
        most_seconds: that all of them may take together; they are made side by side.
    """
    found: dict[str, Finding] = {}
    threads = {
        name: threading.Thread(target=_make, args=(name, check, found), daemon=True)
        for name, check in checks.items()
    }
    for thread in threads.values():
        thread.start()
    until = time.monotonic() + most_seconds
    for name, thread in threads.items():
        thread.join(max(0.0, until - time.monotonic()))
        found.setdefault(
            name,
            Finding(
                "fault",
                f"The check gave no answer within {most_seconds:.0f} seconds.",
                "Look whether a disk or a network folder hangs, or the machine is very busy.",
            ),
        )
    return [Named(name, found[name]) for name in checks]


def repair(checks: Mapping[str, Check], named: Sequence[Named]) -> tuple[list[Named], list[str]]:
    """Mends what can be mended safely; returns what is found then, and what was done."""
    done: list[str] = []
    after: list[Named] = []
    for one in named:
        mended = one.finding.repair
        if mended is None:
            after.append(one)
            continue
        try:
            done += mended()
        except Exception as error:
            done.append(f"{one.name}: it could not be mended ({_reason(error)}).")
        after += examine({one.name: checks[one.name]})
    return after, done


def _make(name: str, check: Check, found: dict[str, Finding]) -> None:
    try:
        found[name] = check()
    except Exception as error:
        found[name] = Finding(
            "fault",
            f"The check itself failed ({_reason(error)}).",
            "Install Thaw anew: pip install --force-reinstall thaw-lab; and report it.",
        )


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
