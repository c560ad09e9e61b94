"""Load and save published weights: the layouts of other libraries, and their file formats.

loaded = zoo.load_model("resnet50", "resnet50.safetensors")
logits = loaded.model.apply(loaded.variables, x, train=False)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.weights.load import Loaded, load_model, load_weights, pretrained
    from zoo.weights.save import convert_arrays, save_weights
    from zoo.weights.select import select

__all__ = ["Loaded", "convert_arrays", "load_model", "load_weights", "pretrained", "save_weights", "select"]
_MODULES = {"convert_arrays": "save", "save_weights": "save", "select": "select"}  # the others are in load.py


def __getattr__(name: str) -> Any:
    """Import JAX and the models at first use: the table of weights, in this package too, needs neither."""
    if name in __all__:
        found = getattr(importlib.import_module(f"zoo.weights.{_MODULES.get(name, 'load')}"), name)
        globals()[name] = found  # a module of the same name, select.py, would stand here otherwise
        return found
    try:
        return importlib.import_module(f"zoo.weights.{name}")
    except ModuleNotFoundError:
        raise AttributeError(f"module 'zoo.weights' has no attribute {name!r}") from None
