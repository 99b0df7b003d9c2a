"""With which releases a run was trained, or a report written. No torch here."""

import platform
from importlib import metadata

from engine import __version__

LIBRARIES = ("torch", "torchvision", "timm")


def versions() -> dict[str, str]:
    """Returns the releases of Thaw, Python and the libraries that decide a run's numbers."""
    found = {"thaw": __version__, "python": platform.python_version()}
    return found | {name: _release(name) for name in LIBRARIES}


def versions_sentence() -> str:
    """Returns the releases in a line, as runs keep them."""
    return ", ".join(f"{name} {release}" for name, release in versions().items())


def _release(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
