"""Every strategy, found in this package: adding one means adding one file with a STRATEGY."""

import importlib
import pkgutil

from engine.strategies.base import Phase, Strategy, phase_at

__all__ = ["STRATEGIES", "Phase", "Strategy", "phase_at"]


def _discover() -> dict[str, Strategy]:
    found: dict[str, Strategy] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        strategy = getattr(module, "STRATEGY", None)
        if strategy is None:
            continue
        if strategy.name in found:
            raise RuntimeError(f"two strategies are called {strategy.name!r}")
        found[strategy.name] = strategy
    return found


STRATEGIES: dict[str, Strategy] = _discover()
