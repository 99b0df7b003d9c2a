"""What is asked of any backbone's stages."""

import torch

from engine.models.backbone import Backbone


def partition_faults(backbone: Backbone) -> list[str]:
    """Names of parameters that lie in no stage, or in more than one."""
    held: dict[int, int] = {}
    for name in backbone.stages:
        for parameter in backbone.stage_parameters(name):
            held[id(parameter)] = held.get(id(parameter), 0) + 1
    return [name for name, p in backbone.named_parameters() if held.get(id(p), 0) != 1]


@torch.inference_mode()
def order_of_use(backbone: Backbone) -> list[str]:
    """The stages in the order in which a picture first reaches them."""
    seen: list[str] = []
    handles = []

    def watch(name: str) -> None:
        def note(*_: object) -> None:
            if name not in seen:
                seen.append(name)

        for module in backbone.stage_modules(name):
            for part in module.modules():
                handles.append(part.register_forward_pre_hook(note))

    for name in backbone.stages:
        watch(name)
    size = backbone.record.default_size
    was_training = backbone.training
    backbone.eval()(torch.zeros(1, 3, size, size))
    backbone.train(was_training)
    for handle in handles:
        handle.remove()
    return seen
