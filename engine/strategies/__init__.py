"""Every strategy, found in this package: adding one means adding one file with a STRATEGY."""

import importlib
import pkgutil

from engine.strategies.base import Adapters, Phase, Pull, Strategy, phase_at
from engine.strategies.settings import StrategySettings

__all__ = ["STRATEGIES", "Adapters", "Phase", "Pull", "Strategy", "StrategySettings", "phase_at"]

# The two ends come first, then what lies between them.
_FIRST = ("frozen", "full", "partial")


def _discover() -> dict[str, Strategy]:
    found: dict[str, Strategy] = {}
    names = [module_info.name for module_info in pkgutil.iter_modules(__path__)]
    for name in sorted(names, key=lambda one: (one not in _FIRST, one)):
        module = importlib.import_module(f"{__name__}.{name}")
        strategy = getattr(module, "STRATEGY", None)
        if strategy is None:
            continue
        if strategy.name in found:
            raise RuntimeError(f"two strategies are called {strategy.name!r}")
        found[strategy.name] = strategy
    return found


STRATEGIES: dict[str, Strategy] = _discover()
