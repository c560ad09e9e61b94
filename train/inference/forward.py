"""The forward pass of loaded weights as one function of its inputs: what is exported as StableHLO and as ONNX."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax.traverse_util import flatten_dict

import zoo
from train.data.inputs import accepts
from zoo.cards import TEXTS, Inputs
from zoo.errors import UserError
from zoo.weights import Loaded
from zoo.weights.fit import expected_shapes
from zoo.weights.preprocessing import Images, reads_segments


class Forward(NamedTuple):
    """A function and its arguments, in order."""

    inputs: Inputs  # argument -> (shape without batch, dtype)
    evaluate: Callable[..., Any]


def forward(loaded: Loaded, length: int | None) -> Forward:
    """Return the forward pass of a model in evaluation mode, with its weights inside.

    Images have the size of the weights, texts `length` tokens (None: as many as the card says). A text has a mask and
    segments, where the model takes them. UserError where the weights are for images of another size.
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
    _require_fit(loaded, inputs)

    def evaluate(*values: Any) -> Any:
        return loaded.model.apply(loaded.variables, **dict(zip(inputs, values, strict=True)), train=False)

    return Forward(inputs, evaluate)


def _require_fit(loaded: Loaded, inputs: Inputs) -> None:
    """Raise UserError where the weights are for images of another size than that of the inputs."""
    flat: dict[str, Any] = flatten_dict(loaded.variables, sep="/")
    if expected_shapes(loaded.model, inputs) != {path: leaf.shape for path, leaf in flat.items()}:
        raise UserError(
            f"{loaded.source} does not record the size of its images, and these weights are not for those of "
            f"{loaded.name}'s card: export them from their run"
        )
