"""Training steps of the zoo's models in PyTorch, in each way that PyTorch runs them: for `zoo bench --peers`."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial

import torch
import torch_dqn
import torch_images
import torch_pairs
import torch_text
from torch import Tensor, nn

Step = Callable[[], object]
Phase = tuple[nn.Module, Callable[[], Tensor]]
"""A part of a step: the network that learns, and its loss on one random batch."""

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def training_steps(name: str, batch: int, length: int | None, threads: int) -> dict[str, Callable[[], Step]]:
    """Way -> a function that builds the model and a step of it on `threads` cores; {} for a model without a peer.

    A step is one of SGD with momentum on one random batch; the agent's is 4 steps in its environment and one of Adam.
    Ways: "eager"; "channels_last" for models with convolutions; "compile", by torch.compile (inductor).
    length: tokens of a text; None for images and the agent.
    """
    torch.set_num_threads(threads)
    if name in torch_dqn.NETWORKS:
        return {
            "eager": partial(torch_dqn.training_step, name, batch),
            "compile": lambda: _interruptible(torch_dqn.training_step(name, batch, compiler())),
        }
    if name in torch_text.MODELS:
        pose = partial(_single, torch_text.pose, name, batch, length)
    elif name in torch_images.MODELS:
        pose = partial(_single, torch_images.pose, name, batch)
    elif name in torch_pairs.MODELS:
        pose = partial(torch_pairs.pose, name, batch)
    else:
        return {}
    ways = ["eager", "channels_last", "compile"] if _convolves(name) else ["eager", "compile"]
    return {way: partial(_training_step, pose, way) for way in ways}


def _convolves(name: str) -> bool:
    if name in torch_pairs.MODELS:
        networks = [build() for build in torch_pairs.MODELS[name][:2]]
    else:
        networks = [torch_images.MODELS[name][0]()] if name in torch_images.MODELS else []
    return any(isinstance(module, CONVOLUTIONS) for network in networks for module in network.modules())


def _single(pose: Callable[..., Phase], *args: object, **options: object) -> list[Phase]:
    return [pose(*args, **options)]


def _training_step(pose: Callable[..., list[Phase]], way: str) -> Step:
    phases = pose(channels_last=True) if way == "channels_last" else pose()
    if way == "compile":
        compiled = compiler()
        phases = [(learner, compiled(loss_of)) for learner, loss_of in phases]
    # PyTorch's fastest form of the rule: one call for all parameters.
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True) for model, _ in phases]

    networks = [model for model, _ in phases]

    def step() -> list[Tensor]:
        losses = []
        for (learner, loss_of), optimizer in zip(phases, optimizers, strict=True):
            if len(networks) > 1:  # no gradient is computed for the other one's parameters
                for network in networks:
                    network.requires_grad_(network is learner)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return losses

    return _interruptible(step) if way == "compile" else step


def _interruptible(step: Step) -> Step:
    """Ctrl-C inside of PyTorch's compiler leaves it so that the process crashes when it ends: then end it before."""

    def run() -> object:
        try:
            return step()
        except KeyboardInterrupt:
            atexit.register(_leave)
            raise

    return run


def _leave() -> None:
    shutil.rmtree(_programs(), ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)


def compiler() -> Callable[[Callable], Callable]:
    """Return torch.compile for fixed shapes, without what PyTorch kept of other models or of an earlier process.

    PyTorch compiles one piece of code at most 8 times and then, silently, runs it eagerly; so it is reset.
    """
    import torch._dynamo

    torch._dynamo.reset()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = _programs()
    return partial(torch.compile, backend="inductor", dynamic=False)


@cache
def _programs() -> str:
    """Return an empty folder for this process's compiled programs: the seconds of compilation are reported."""
    folder = tempfile.mkdtemp(prefix="zoo-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
