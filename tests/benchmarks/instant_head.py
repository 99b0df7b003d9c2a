"""From a move of a slider to the redrawn instant head, in a real browser, features there."""

import statistics
import time

from tests.benchmarks.served import fresh_dashboard
from tests.serving import chromium, open_page

FIRST_EPOCHS, LAST_EPOCHS = 10, 40
REDRAWN = """(epochs) => [...document.querySelectorAll(".st-key-train-head p")]
    .some((line) => line.textContent.includes(`of ${epochs}, trained in`))"""


def main() -> None:
    """Moves the slider of epochs, and prints how long it takes around 30 of them."""
    with fresh_dashboard() as dashboard, chromium() as browser:
        page = open_page(browser, dashboard.url)
        page.get_by_role("button", name="Train both").first.wait_for(timeout=60_000)
        page.locator(".st-key-train-head").get_by_text("Instant head").click()
        page.wait_for_function(REDRAWN, arg=FIRST_EPOCHS, timeout=300_000)
        slider = page.get_by_role("slider", name="Epochs").first
        seconds: list[float] = []
        for epochs in range(FIRST_EPOCHS + 1, LAST_EPOCHS + 1):
            slider.press("ArrowRight")
            started = time.perf_counter()
            page.wait_for_function(REDRAWN, arg=epochs, timeout=60_000)
            if epochs > 2 * LAST_EPOCHS // 4:
                seconds.append(time.perf_counter() - started)
            time.sleep(0.3)
    print(
        f"  386 pictures, {LAST_EPOCHS // 2} to {LAST_EPOCHS} epochs: redrawn "
        f"{1000 * statistics.median(seconds):.0f} ms after the slider was moved (median of "
        f"{len(seconds)}), at worst {1000 * max(seconds):.0f} ms"
    )
