"""Load the same models in PyTorch, and warm them up. They are in tests/peers of a clone and not part of the wheel."""

import dataclasses
import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from zoo.errors import UserError

FILE = Path(__file__).parents[3] / "tests" / "peers" / "torch_models.py"
LIBRARIES = {"torch": "PyTorch", "gymnasium": "Gymnasium"}  # module -> name; the agent's environment is Gymnasium's
WARM_UP = 3  # steps before the timing; the first one compiles
LONGEST_REASON = 120  # characters

Step = Callable[[], object]
Builders = Mapping[str, Callable[[], Step]]
"""Way of PyTorch ("eager", "channels_last", "compile") -> a function that builds the model and returns its step."""
Load = Callable[[str, int, int | None, int], Builders]


@dataclasses.dataclass(frozen=True)
class Peers:
    """The training steps of one model in PyTorch after their warm-up, by the way PyTorch runs them."""

    steps: Mapping[str, Step] = dataclasses.field(default_factory=dict)
    compile_seconds: float | None = None  # the first step of "compile", without PyTorch's caches of programs
    failures: Mapping[str, str] = dataclasses.field(default_factory=dict)  # way -> why it does not run here


def load() -> Load:
    """Return a function: (model, batch, tokens per text, threads) -> builders in PyTorch, {} without a peer.

    Raises UserError outside of a clone and without PyTorch or Gymnasium.
    """
    if not FILE.is_file():
        raise UserError("zoo bench --peers needs a clone of the repository: the PyTorch models are in its tests/peers")
    for module, name in LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"zoo bench --peers needs {name}, the extra `peers`: pip install -e '.[peers]' in the clone"
            )
    if str(FILE.parent) not in sys.path:  # its files import each other
        sys.path.append(str(FILE.parent))
    return importlib.import_module(FILE.stem).training_steps


def warm_up(builders: Builders) -> Peers:
    """Build each way and run a few steps of it. A way that does not run here is kept with its reason.

    Raises what the way "eager" raises: where it fails, the peer itself is wrong.
    """
    steps: dict[str, Step] = {}
    failures: dict[str, str] = {}
    compile_seconds = None
    for way, build in builders.items():
        try:
            step = build()
            start = time.perf_counter()
            step()
            first = time.perf_counter() - start
            for _ in range(WARM_UP - 1):
                step()
        except Exception as error:  # torch.compile raises errors of many kinds where it has no compiler that works
            if way == "eager":
                raise
            failures[way] = _reason(error)
            continue
        steps[way] = step
        if way == "compile":
            compile_seconds = first
    return Peers(steps, compile_seconds, failures)


def _reason(error: Exception) -> str:
    """Return the kind of error and its first line, cut."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:LONGEST_REASON]
