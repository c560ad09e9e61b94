"""Export a model to one file that runs without this project: StableHLO with the weights, for any batch size."""

from pathlib import Path
from typing import Any

import jax
from jax import export

import zoo
from train.data.inputs import accepts
from zoo.errors import UserError
from zoo.files import write_atomically
from zoo.weights import Loaded
from zoo.weights.preprocessing import Images, reads_segments


def write(path: Path, loaded: Loaded, length: int | None) -> tuple[str, ...]:
    """Write the forward pass of a model in evaluation mode. Returns a description of each argument.

    length: tokens per text; None: that of the card. To run the file:
    `jax.export.deserialize(bytearray(open(path, "rb").read())).call(x)`; `.mlir_module()` is the program.
    """
    (batch,) = export.symbolic_shape("batch")
    arguments = {
        name: jax.ShapeDtypeStruct((batch, *shape), dtype) for name, (shape, dtype) in _inputs(loaded, length).items()
    }

    def evaluate(*values: Any) -> Any:
        return loaded.model.apply(loaded.variables, **dict(zip(arguments, values, strict=True)), train=False)

    try:
        program = export.export(jax.jit(evaluate))(*arguments.values())
    except TypeError as error:  # of a model that a user brings, such as len(x) for x.shape[0]
        said = str(error).splitlines()[0]
        raise UserError(f"{loaded.name} cannot be called on a batch of any size, as StableHLO needs: {said}") from error
    write_atomically(path, bytes(program.serialize()))
    return tuple(f"{name} {spec.dtype}{list(spec.shape)}".replace("'", "") for name, spec in arguments.items())


def _inputs(loaded: Loaded, length: int | None) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return the inputs like Card.inputs: images of the size of the weights, texts of `length` tokens.

    A text has a mask and segments, where the model takes them.
    """
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
    if "tokens" in inputs and accepts(loaded.model, "mask"):
        inputs["mask"] = (inputs["tokens"][0], bool)
    if "tokens" in inputs and accepts(loaded.model, "segments") and reads_segments(loaded.preprocessing):
        inputs["segments"] = inputs["tokens"]
    return inputs
