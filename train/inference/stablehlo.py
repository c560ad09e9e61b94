"""Export a model to one file that runs without this project: StableHLO with the weights, for any batch size."""

from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict
from jax import export

import zoo
from train.data.inputs import accepts
from zoo.cards import TEXTS
from zoo.errors import UserError
from zoo.files import write_atomically
from zoo.weights import Loaded
from zoo.weights.fit import expected_shapes
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

    _require_fit(loaded, arguments)

    def evaluate(*values: Any) -> Any:
        return loaded.model.apply(loaded.variables, **dict(zip(arguments, values, strict=True)), train=False)

    try:
        program = export.export(jax.jit(evaluate))(*arguments.values())
    except TypeError as error:  # of a model that a user brings, such as len(x) for x.shape[0]
        said = str(error).splitlines()[0]
        raise UserError(f"{loaded.name} cannot be called on a batch of any size, as StableHLO needs: {said}") from error
    write_atomically(path, bytes(program.serialize()))
    return tuple(f"{name} {spec.dtype}{list(spec.shape)}".replace("'", "") for name, spec in arguments.items())


def _require_fit(loaded: Loaded, arguments: dict[str, jax.ShapeDtypeStruct]) -> None:
    """Raise UserError where the weights are for images of another size than that of the inputs."""
    one = {name: (spec.shape[1:], spec.dtype) for name, spec in arguments.items()}
    expected = expected_shapes(loaded.model, one)
    flat: dict[str, Any] = flatten_dict(loaded.variables, sep="/")
    actual = {path: leaf.shape for path, leaf in flat.items()}
    if expected != actual:
        raise UserError(
            f"{loaded.source} does not record the size of its images, and these weights are not for those of "
            f"{loaded.name}'s card: export them from their run"
        )


def _inputs(loaded: Loaded, length: int | None) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return the inputs like Card.inputs: images of the size of the weights, texts of `length` tokens.

    A text has a mask and segments, where the model takes them.
    """
    inputs = zoo.card(loaded.name).inputs_of(loaded.model.cfg)
    if "x" in inputs:
        inputs["x"] = loaded.inputs["x"]
        if isinstance(loaded.preprocessing, Images):
            images = loaded.preprocessing
            inputs["x"] = ((*images.size, len(images.mean)), inputs["x"][1])
    for name, (shape, dtype) in inputs.items():
        if name in TEXTS:
            inputs[name] = ((length or shape[0],), dtype)
    if "tokens" in inputs and accepts(loaded.model, "mask"):
        inputs["mask"] = (inputs["tokens"][0], bool)
    if "tokens" in inputs and accepts(loaded.model, "segments") and reads_segments(loaded.preprocessing):
        inputs["segments"] = inputs["tokens"]
    return inputs
