"""From choosing another backbone on the Train page to its facts, in a real browser."""

import time

from engine.models.catalogue import backbone_record
from tests.benchmarks.served import fresh_dashboard
from tests.serving import chromium, open_page

NAMES = (
    "torchvision/mobilenet_v2.IMAGENET1K_V2",
    "torchvision/resnet50.IMAGENET1K_V2",
    "torchvision/inception_v3.IMAGENET1K_V1",
    "timm/convnext_tiny.in12k_ft_in1k",
    "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "efficientnet_lite0",
)


def main() -> None:
    """Prints for each backbone how long after the choice its facts stand on the page."""
    with fresh_dashboard() as dashboard, chromium() as browser:
        page = open_page(browser, dashboard.url)
        page.get_by_role("button", name="Train both").wait_for(timeout=60_000)
        box = page.get_by_role("combobox", name="Backbone")
        seconds = []
        for name in NAMES:
            record = backbone_record(name)
            box.click()
            box.fill(record.label if record.library == "bundled" else name)
            page.get_by_role("option").first.wait_for()
            started = time.perf_counter()
            box.press("Enter")
            said = f"{record.num_parameters / 1e6:.1f} M parameters in {len(record.stages)} stages"
            page.get_by_text(said).wait_for()
            seconds.append(time.perf_counter() - started)
    print(f"  choice to facts: {', '.join(f'{1000 * one:.0f} ms' for one in seconds)}")
    print(f"  slowest of {len(seconds)}: {max(seconds):.2f} s")
