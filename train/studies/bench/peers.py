"""Load the same models in PyTorch. They are in tests/peers of a clone and not part of the wheel."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from zoo.errors import UserError

FILE = Path(__file__).parents[3] / "tests" / "peers" / "torch_models.py"

Step = Callable[[], object]


def load() -> Callable[[str, int, int | None, int], Step | None]:
    """Return a function: (model, batch, tokens per text, threads) -> a training step in PyTorch, None without a peer.

    Raises UserError outside of a clone and without PyTorch.
    """
    if not FILE.is_file():
        raise UserError("zoo bench --peers needs a clone of the repository: the PyTorch models are in its tests/peers")
    if importlib.util.find_spec("torch") is None:
        raise UserError("zoo bench --peers needs PyTorch, the extra `peers`: pip install -e '.[peers]' in the clone")
    if str(FILE.parent) not in sys.path:  # its files import each other
        sys.path.append(str(FILE.parent))
    return importlib.import_module(FILE.stem).training_step
