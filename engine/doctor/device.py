"""Where runs would compute: GPU or CPU, with how many threads, and what holds them back."""

import os
import shutil
from pathlib import Path
from typing import Any

from engine.doctor.finding import Finding, fault, gib, not_applicable, ok, warning
from engine.doctor.torch_probe import probe

CGROUP = Path("/sys/fs/cgroup")


def pytorch() -> Finding:
    """Looks whether PyTorch and torchvision can be loaded."""
    said = probe()
    if "error" in said:
        return fault(
            f"PyTorch cannot be loaded: {said['error']}.",
            "Install both anew: pip install --force-reinstall torch torchvision",
        )
    torch, vision = said["torch"], said["torchvision"]
    return ok(f"PyTorch {torch} and torchvision {vision} load.", torch=torch, torchvision=vision)


def device() -> Finding:
    """Looks which device runs will use, and why it is not the GPU that is there."""
    said = probe()
    if "error" in said:
        return not_applicable("PyTorch cannot be loaded, so it says nothing of devices.")
    has_driver = shutil.which("nvidia-smi") is not None
    if said["cuda"]:
        return _cuda(said)
    if warned := next((text for text in said["said"] if "driver" in text.lower()), ""):
        return fault(
            f"A GPU is there that PyTorch cannot use: {warned}",
            "Update the NVIDIA driver, or install a PyTorch for an older CUDA.",
            said=said["said"],
        )
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1") and has_driver:
        return ok("Runs use the CPU: CUDA_VISIBLE_DEVICES hides the GPUs.", device="cpu")
    if has_driver and said["cuda_build"] is None:
        return warning(
            "An NVIDIA driver is here, but this PyTorch was built for the CPU alone.",
            "Install a PyTorch with CUDA: pip install --force-reinstall torch torchvision",
            device="cpu",
        )
    if has_driver:
        return warning(
            "An NVIDIA driver is here, but PyTorch finds no CUDA GPU; runs use the CPU.",
            "See what nvidia-smi says, and whether the container was given the GPU.",
            device="cpu",
        )
    if said["mps"]:
        return ok("Runs use the CPU; Thaw does not compute on Apple's GPU (MPS).", device="cpu")
    return ok("Runs use the CPU; no GPU is here.", device="cpu")


def processor() -> Finding:
    """Looks how many cores there are, how many may be used, and how many threads compute."""
    cores = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    quota = cpu_quota()
    usable = min(allowed, quota) if quota is not None else float(allowed)
    threads = probe().get("threads")
    facts: dict[str, Any] = {"cores": cores, "quota": quota, "allowed": allowed, "threads": threads}
    limit = f", {quota:g} by the container's quota" if quota is not None else ""
    found = f"{cores} cores, of which {allowed} may be used{limit}"
    if threads is None:
        return ok(f"{found}.", **facts)
    found += f"; PyTorch computes in {threads} threads"
    if threads > max(1.0, usable + 0.5):
        return warning(
            f"{found}, which is more than there are.",
            f"Start Thaw with OMP_NUM_THREADS={max(1, int(usable))}.",
            **facts,
        )
    return ok(f"{found}.", **facts)


def cpu_quota(root: Path = CGROUP) -> float | None:
    """Returns how many cores' worth of time a container may use, None where that is not bounded."""
    try:
        limit, period = (root / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = (root / "cpu" / "cpu.cfs_quota_us").read_text()
        period = (root / "cpu" / "cpu.cfs_period_us").read_text()
        return int(limit) / int(period) if int(limit) > 0 else None
    except (OSError, ValueError):
        return None


def memory_quota(root: Path = CGROUP) -> int | None:
    """Returns how many bytes a container may use, None where that is not bounded."""
    for file in (root / "memory.max", root / "memory" / "memory.limit_in_bytes"):
        try:
            limit = int(file.read_text())
        except (OSError, ValueError):
            continue
        # Without a bound, version 1 tells the largest number that there is.
        return limit if limit < 2**60 else None
    return None


def _cuda(said: dict[str, Any]) -> Finding:
    broken = said["gpu_error"] or next(
        (f"{one['name']} computes wrongly" for one in said["gpus"] if not one["computes"]), ""
    )
    if broken:
        return fault(
            f"PyTorch finds a CUDA GPU and cannot compute on it: {broken}.",
            "Install a PyTorch that supports it, or hide it with CUDA_VISIBLE_DEVICES=-1.",
        )
    named = ", ".join(f"{one['name']} ({gib(one['bytes'])})" for one in said["gpus"])
    return ok(f"Runs use CUDA: {named}.", device="cuda", gpus=said["gpus"])
