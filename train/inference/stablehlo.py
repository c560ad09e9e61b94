"""A model as one file that runs without this project: StableHLO with its weights inside, for a batch of any size."""

import inspect
from pathlib import Path
from typing import Any

import jax
from jax import export

import zoo
from zoo.files import write_atomically
from zoo.weights import Loaded
from zoo.weights.preprocessing import Images


def write(path: Path, loaded: Loaded, length: int | None) -> tuple[str, ...]:
    """Write the evaluation of a model and return its arguments in words. `length`: tokens of a text (the card's).

    Read again: `jax.export.deserialize(bytearray(open(path, "rb").read())).call(x)`; `.mlir_module()` is the program.
    """
    (batch,) = export.symbolic_shape("batch")
    arguments = {
        name: jax.ShapeDtypeStruct((batch, *shape), dtype) for name, (shape, dtype) in _inputs(loaded, length).items()
    }

    def evaluate(*values: Any) -> Any:
        return loaded.model.apply(loaded.variables, **dict(zip(arguments, values, strict=True)), train=False)

    program = export.export(jax.jit(evaluate))(*arguments.values())
    write_atomically(path, bytes(program.serialize()))
    return tuple(f"{name} {spec.dtype}{list(spec.shape)}".replace("'", "") for name, spec in arguments.items())


def _inputs(loaded: Loaded, length: int | None) -> dict[str, tuple[tuple[int, ...], Any]]:
    """As Card.inputs: an image at the size that the weights are for, a text of `length` tokens and its mask."""
    card = zoo.card(loaded.name)
    inputs = dict(card.inputs)
    if isinstance(loaded.preprocessing, Images) and "x" in inputs:
        images = loaded.preprocessing
        inputs["x"] = ((*images.size, len(images.mean)), inputs["x"][1])
    if "z" in inputs:
        inputs["z"] = ((loaded.model.cfg.latent,), inputs["z"][1])
    context = getattr(loaded.model.cfg, "context", None)
    for name, (shape, dtype) in inputs.items():
        if name in ("tokens", "source", "source_mask", "target"):
            tokens = length or min(shape[0], context or shape[0])
            inputs[name] = ((tokens,), dtype)
    if "tokens" in inputs and "mask" in inspect.signature(type(loaded.model).__call__).parameters:
        inputs["mask"] = (inputs["tokens"][0], bool)
    return inputs
