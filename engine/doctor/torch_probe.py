"""Loads PyTorch in a process of its own, which may hang or crash: `python -m ...`; prints JSON."""

import json
import os
import subprocess
import sys
import threading
import warnings
from functools import cache
from typing import Any

PROBE_SECONDS = 75.0
MODULE = "engine.doctor.torch_probe"


_one_at_a_time = threading.Lock()


def probe() -> dict[str, Any]:
    """Returns what PyTorch says of itself and of this machine; `error` where it cannot be had.

    It is loaded once, however many checks ask.
    """
    with _one_at_a_time:
        return _probe()


def forget() -> None:
    """Has PyTorch loaded anew when it is asked next."""
    _probe.cache_clear()


@cache
def _probe() -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", MODULE],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
            env=dict(os.environ),
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it did not load within {PROBE_SECONDS:.0f} seconds"}
    except OSError as error:
        return {"error": str(error)}
    try:
        document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = done.stderr.strip().rpartition("\n")[2]
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"code {done.returncode}"
        return {"error": last or f"loading it ended with {how}"}
    return document


def look() -> dict[str, Any]:
    """Returns what PyTorch says, in this process."""
    try:
        import torch
        import torchvision
    except Exception as error:
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        has_cuda = torch.cuda.is_available()
        found: dict[str, Any] = {
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "cuda_build": torch.version.cuda,
            "cuda": has_cuda,
            "mps": torch.backends.mps.is_available(),
            "threads": torch.get_num_threads(),
            "gpus": [],
            "gpu_error": "",
        }
        if has_cuda:
            try:
                found["gpus"] = [_gpu(index) for index in range(torch.cuda.device_count())]
            except (RuntimeError, AssertionError) as error:
                found["gpu_error"] = " ".join(str(error).split())[:200]
    found["said"] = [" ".join(str(one.message).split())[:300] for one in said]
    found["weights"] = _bundled_weights()
    return found


def _gpu(index: int) -> dict[str, Any]:
    """Returns what a GPU is, once it has computed something."""
    import torch

    total = torch.ones(8, device=f"cuda:{index}").sum().item()
    facts = torch.cuda.get_device_properties(index)
    return {"name": facts.name, "bytes": facts.total_memory, "computes": total == 8.0}


def _bundled_weights() -> dict[str, str]:
    """Returns for each backbone whose weights are a package how these load; empty if they do."""
    from engine.models.catalogue import search
    from engine.models.weights import read_tensors
    from engine.models.weights_files import weights_file

    told: dict[str, str] = {}
    for record in search():
        file = weights_file(record) if record.library == "bundled" else None
        if file is None:
            continue
        try:
            told[record.name] = "" if read_tensors(file) else "it holds nothing"
        except Exception as error:
            told[record.name] = " ".join(str(error).split())[:200]
    return told


if __name__ == "__main__":
    print(json.dumps(look()))
