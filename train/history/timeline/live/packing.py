"""The arrays of a network as text: weights as whole numbers with a scale for each output, deflated, in base64."""

import base64
import zlib

import numpy as np

LEVELS = 127  # of a weight on each side of zero: one byte
FEW_LEVELS = 7  # in a wide layer: four bits, of which half are saved
WIDE = 100_000  # weights of a layer from which a page of many networks is too heavy with a byte for each


class Packer:
    """Collects the arrays of a network in the order in which its layers take them."""

    def __init__(self) -> None:
        self._floats: list[np.ndarray] = []
        self._codes: list[np.ndarray] = []

    def floats(self, values: np.ndarray) -> None:
        """Keep numbers as they are, float32."""
        self._floats.append(np.asarray(values, "<f4").ravel())

    def weights(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Keep a kernel (outputs, ...) as whole numbers, and its scales and biases (outputs,)."""
        codes, scale = quantize(kernel)
        self.floats(scale)
        self.floats(bias)
        self._codes.append(codes.ravel())

    def packed(self) -> dict[str, object]:
        """Return {"floats": how many, "weights": base64}: float32, little-endian, then int8, deflated (RFC 1950)."""
        floats = np.concatenate([np.zeros(0, "<f4"), *self._floats])
        codes = np.concatenate([np.zeros(0, np.int8), *self._codes])
        data = zlib.compress(floats.tobytes() + codes.tobytes(), 9)
        return {"floats": len(floats), "weights": base64.b64encode(data).decode("ascii")}


def quantize(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers int8 and the scale of each output (outputs,): kernel (outputs, ...) is about their product.

    The scale is such that the largest weight of an output is met exactly.
    """
    levels = FEW_LEVELS if kernel.size > WIDE else LEVELS
    rows = np.asarray(kernel, np.float32).reshape(len(kernel), -1)
    scale = np.abs(rows).max(1) / levels
    codes = np.round(rows / np.where(scale > 0, scale, 1)[:, None])
    return codes.astype(np.int8).reshape(kernel.shape), scale.astype(np.float32)
