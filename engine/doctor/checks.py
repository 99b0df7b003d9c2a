"""All checks, in the order in which they are told."""

import contextlib
import importlib
from functools import partial

from engine.doctor.examine import Check
from engine.doctor.finding import Finding

# Name, module of engine.doctor, function.
CHECKS = (
    ("Python", "libraries", "python_version"),
    ("libraries", "libraries", "library_versions"),
    ("PyTorch", "device", "pytorch"),
    ("PyTorch and torchvision", "libraries", "torch_and_torchvision"),
    ("device", "device", "device"),
    ("processor", "device", "processor"),
    ("memory", "room", "memory"),
    ("shared memory", "room", "shared_memory"),
    ("THAW_HOME", "home", "home"),
    ("kind of disk", "home", "home_file_system"),
    ("room for runs", "room", "home_disk"),
    ("temporary room", "room", "temporary_disk"),
    ("store", "store", "store"),
    ("store is whole", "store", "integrity"),
    ("journal", "store", "journal"),
    ("dead runs", "processes", "dead_runs"),
    ("waiting runs", "processes", "supervisor"),
    ("clock", "processes", "clock"),
    ("folders of runs", "leftovers", "run_folders"),
    ("half-written files", "leftovers", "unfinished"),
    ("caches", "leftovers", "cache_room"),
    ("states", "states", "states"),
    ("weights of runs", "states", "weights_of_runs"),
    ("bundled weights", "weights", "bundled_weights"),
    ("THAW_WEIGHTS", "weights", "weights_folder"),
    ("network", "weights", "network"),
    ("variables", "settings", "variables"),
    ("THAW_ROOTS", "settings", "roots"),
    ("letters", "terminal", "letters"),
)


def all_checks(port_number: int) -> dict[str, Check]:
    """Returns every check by its name.

    Args:
        port_number: that the dashboard would listen on.
    """
    checks: dict[str, Check] = {
        name: partial(_check, module, function) for name, module, function in CHECKS
    }
    checks["port"] = partial(_check, "ports", "port", port_number)
    return checks


def import_checks() -> None:
    """Imports what the checks are made of; in many threads at once imports wait for each other.

    What cannot be imported is told by its own check.
    """
    for module in dict.fromkeys((*(module for _, module, _ in CHECKS), "ports")):
        with contextlib.suppress(Exception):
            importlib.import_module(f"engine.doctor.{module}")


def _check(module: str, function: str, *arguments: object) -> Finding:
    """Makes a check. It is imported only now, so that what cannot be imported is its own fault."""
    made = getattr(importlib.import_module(f"engine.doctor.{module}"), function)
    finding: Finding = made(*arguments)
    return finding
