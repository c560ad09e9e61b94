"""Load and save published weights: the layouts of other libraries, and their file formats.

loaded = zoo.load_model("resnet50", "resnet50.safetensors")
logits = loaded.model.apply(loaded.variables, x, train=False)
"""

from zoo.weights.load import Loaded, load_model, load_weights, pretrained
from zoo.weights.save import convert_arrays, save_weights
from zoo.weights.select import select

__all__ = ["Loaded", "convert_arrays", "load_model", "load_weights", "pretrained", "save_weights", "select"]
