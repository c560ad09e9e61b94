"""A training step of the zoo's models in plain eager PyTorch: for `zoo bench --peers`."""

from collections.abc import Callable

import torch
import torch_images
import torch_text
from torch import Tensor


def training_step(name: str, batch: int, length: int | None, threads: int) -> Callable[[], Tensor] | None:
    """A step of SGD with momentum on one random batch, giving its loss, on `threads` cores; None for another model.

    length: tokens of a text; None for images.
    """
    if name in torch_images.MODELS:
        model, loss_of = torch_images.pose(name, batch)
    elif name in torch_text.MODELS:
        model, loss_of = torch_text.pose(name, batch, length)
    else:
        return None
    torch.set_num_threads(threads)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
