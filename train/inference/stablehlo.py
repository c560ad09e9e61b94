"""Export a model to one file that runs without this project: StableHLO with the weights, for any batch size."""

from pathlib import Path

import jax
from jax import export

from train.inference.forward import forward
from zoo.errors import UserError
from zoo.files import write_atomically
from zoo.weights import Loaded


def write(path: Path, loaded: Loaded, length: int | None) -> tuple[str, ...]:
    """Write the forward pass of a model in evaluation mode. Returns a description of each argument.

    length: tokens per text; None: that of the card. To run the file:
    `jax.export.deserialize(bytearray(open(path, "rb").read())).call(x)`; `.mlir_module()` is the program.
    """
    inputs, evaluate = forward(loaded, length)
    (batch,) = export.symbolic_shape("batch")
    arguments = {name: jax.ShapeDtypeStruct((batch, *shape), dtype) for name, (shape, dtype) in inputs.items()}
    try:
        program = export.export(jax.jit(evaluate))(*arguments.values())
    except TypeError as error:  # of a model that a user brings, such as len(x) for x.shape[0]
        said = str(error).splitlines()[0]
        raise UserError(f"{loaded.name} cannot be called on a batch of any size, as StableHLO needs: {said}") from error
    write_atomically(path, bytes(program.serialize()))
    return tuple(f"{name} {spec.dtype}{list(spec.shape)}".replace("'", "") for name, spec in arguments.items())
