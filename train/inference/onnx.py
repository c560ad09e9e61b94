"""Export a model to an ONNX file, which onnxruntime and many other programs run, for any batch size.

jax2onnx converts, and onnxruntime then computes the same random inputs as the model, before anything is written.
"""

import contextlib
import importlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from train.inference.forward import Forward, forward
from zoo.errors import UserError
from zoo.files import write_atomically
from zoo.weights import Loaded
from zoo.weights.save import describe

INSTALL = "pip install 'zoo-timeline[onnx]' && pip install --no-deps 'jax2onnx>=0.17.1'"
LIBRARIES = ("onnx", "onnxruntime", "jax2onnx")
LARGEST = 2**31 - 1  # bytes of a Protocol Buffers message, which an ONNX file is
TOLERANCE = 1e-4  # of the largest output; float32 in another order comes to 1e-6
BATCHES = (1, 3)  # that are compared
LIMITS = {"tokens": "vocab", "target": "vocab", "source": "source_vocab", "labels": "classes"}
"""Input of whole numbers -> field of the Config with the number of its values; without one there are two, and of bytes
256."""


def require_libraries() -> None:
    """Raise UserError with the command that installs them, where one of the libraries is missing."""
    for name in LIBRARIES:
        try:
            with _quiet():
                importlib.import_module(name)
        except ImportError as error:
            raise UserError(f"an .onnx file needs {error.name or name}: {INSTALL}") from None


def write(path: Path, loaded: Loaded, length: int | None) -> tuple[str, ...]:
    """Write the forward pass of a model in evaluation mode. Returns a description of each argument.

    length: tokens per text; None: that of the card. The file's metadata have the entry "zoo", which says how inputs are
    prepared and what the classes are called. UserError where the converter cannot convert the model.
    """
    require_libraries()
    program = forward(loaded, length)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(loaded.variables))
    if size > LARGEST:
        raise UserError(f"an ONNX file holds at most 2 GB, and {loaded.name} has {size / 1e9:.1f} GB of weights")
    content = _convert(loaded, program)
    _require_equal(loaded, program, content)
    write_atomically(path, content)
    return tuple(
        f"{name} {np.dtype(dtype).name}[{', '.join(map(str, ('batch', *shape)))}]"
        for name, (shape, dtype) in program.inputs.items()
    )


def _convert(loaded: Loaded, program: Forward) -> bytes:
    """Return the content of the file."""
    converter: Any = importlib.import_module("jax2onnx")  # of an extra, so that it may be missing
    specs = [jax.ShapeDtypeStruct(("batch", *shape), dtype) for shape, dtype in program.inputs.values()]
    outputs = len(jax.tree.leaves(jax.eval_shape(program.evaluate, *_specs(program, 1))))
    try:
        with _quiet():
            model: Any = converter.to_onnx(
                program.evaluate,
                specs,
                model_name=loaded.name,
                input_names=list(program.inputs),
                output_names=["output"] if outputs == 1 else [f"output_{i}" for i in range(outputs)],
            )
        about = describe(loaded.model, loaded.name, "onnx", loaded.preprocessing, loaded.labels)
        model.metadata_props.add(key="zoo", value=about["zoo"])
        return model.SerializeToString()
    except Exception as error:  # the converter raises many types
        raise _refusal(loaded, f"jax2onnx cannot convert it: {_first_line(error)}") from error


def _require_equal(loaded: Loaded, program: Forward, content: bytes) -> None:
    """Raise UserError where onnxruntime does not compute from the file what the model computes."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it reports is in the error that it raises
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for batch in BATCHES:
            values = _draw(loaded, program, batch)
            theirs = session.run(None, dict(zip(program.inputs, values, strict=True)))
            ours = jax.tree.leaves(program.evaluate(*map(jnp.asarray, values)))
            _compare(loaded, ours, theirs)
    except UserError:
        raise
    except Exception as error:  # the classes of onnxruntime's errors are not public
        raise _refusal(loaded, f"onnxruntime does not run what jax2onnx made: {_first_line(error)}") from error


def _compare(loaded: Loaded, ours: Sequence[Any], theirs: Sequence[Any]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        mine, other = np.asarray(mine, np.float64), np.asarray(other, np.float64)
        if mine.shape != other.shape:
            raise _refusal(loaded, f"jax2onnx makes {other.shape} of what must be {mine.shape}")
        difference = np.abs(mine - other).max() / max(np.abs(mine).max(), np.finfo(np.float32).tiny)
        if not difference <= TOLERANCE:
            raise _refusal(loaded, f"the outputs of what jax2onnx made differ by {difference:.1e} of the largest")


def _draw(loaded: Loaded, program: Forward, batch: int) -> list[np.ndarray]:
    """Return random inputs: numbers of a standard normal, valid tokens, and masks of texts of different length."""
    draw = np.random.default_rng(batch)
    values = []
    for name, spec in zip(program.inputs, _specs(program, batch), strict=True):
        if jnp.issubdtype(spec.dtype, jnp.floating):
            value = draw.normal(size=spec.shape)
        elif spec.dtype == jnp.bool_:
            value = np.arange(spec.shape[1]) < draw.integers(1, spec.shape[1] + 1, (batch, 1))
        else:
            usual = 256 if spec.dtype == jnp.uint8 else 2
            value = draw.integers(0, getattr(loaded.model.cfg, LIMITS.get(name, ""), usual), spec.shape)
        values.append(value.astype(spec.dtype))
    return values


def _specs(program: Forward, batch: int) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct((batch, *shape), dtype) for shape, dtype in program.inputs.values()]


def _refusal(loaded: Loaded, reason: str) -> UserError:
    return UserError(f"{loaded.name} cannot be written as ONNX, so nothing is: {reason}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop the converter's warnings, which are about its own code: what it made is compared."""
    loggers = [logging.getLogger(name) for name in ("onnx_ir", "jax2onnx")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
