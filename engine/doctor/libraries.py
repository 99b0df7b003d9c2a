"""Python and the libraries, against what Thaw asks for."""

import platform
from importlib import metadata

from engine.doctor.finding import Finding, fault, few, not_applicable, ok, warning

DISTRIBUTION = "thaw-lab"
ANEW = f"Install them with: pip install --upgrade {DISTRIBUTION}"


def python_version() -> Finding:
    """Looks whether this Python is one that Thaw runs on."""
    from packaging.specifiers import SpecifierSet

    version = platform.python_version()
    try:
        wanted = metadata.metadata(DISTRIBUTION)["Requires-Python"]
    except (metadata.PackageNotFoundError, KeyError):
        return _not_installed()
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return ok(f"Python {version}; Thaw needs {wanted}.", python=version, wanted=wanted)
    return fault(
        f"Python {version} is not what Thaw needs ({wanted}).",
        "Make a virtual environment with a newer Python and install Thaw there.",
        python=version,
        wanted=wanted,
    )


def library_versions() -> Finding:
    """Looks whether every library that Thaw needs is there in a version that will do."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in metadata.requires(DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        return _not_installed()
    needed = [
        one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})
    ]
    faults = [sentence for one in needed if (sentence := _why_not(one.name, str(one.specifier)))]
    if faults:
        return fault(f"Not as Thaw needs them: {few(faults, 6)}.", ANEW, faults=faults)
    return ok(f"All {len(needed)} libraries are there in versions that will do.")


def torch_and_torchvision() -> Finding:
    """Looks whether PyTorch and torchvision were made for each other."""
    from packaging.requirements import Requirement

    try:
        torch, vision = metadata.version("torch"), metadata.version("torchvision")
        requirements = [Requirement(text) for text in metadata.requires("torchvision") or ()]
    except metadata.PackageNotFoundError as error:
        missing = str(error).rpartition(" ")[2]
        return fault(f"{missing} is not installed.", "Install both: pip install torch torchvision")
    wanted = next((one.specifier for one in requirements if one.name == "torch"), None)
    facts = {"torch": torch, "torchvision": vision, "wanted": str(wanted or "")}
    if wanted is None:
        return not_applicable(f"torchvision {vision} does not say which PyTorch it needs.")
    if wanted.contains(torch, prereleases=True):
        return ok(f"PyTorch {torch} and torchvision {vision} belong together.", **facts)
    return fault(
        f"torchvision {vision} was made for torch{wanted}, and PyTorch {torch} is installed.",
        "Install both together: pip install --upgrade torch torchvision",
        **facts,
    )


def _why_not(name: str, specifier: str) -> str:
    """Returns how a library falls short of what is wanted, in a few words; empty if it does not."""
    from packaging.specifiers import SpecifierSet

    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed (needed: {specifier or 'any'})"
    if SpecifierSet(specifier).contains(version, prereleases=True):
        return ""
    return f"{name} {version} (needed: {specifier})"


def _not_installed() -> Finding:
    return warning(
        f"{DISTRIBUTION} is not installed as a package, so that nothing says what it needs.",
        "Install it where it lies: pip install -e .",
    )
