"""The landmark architectures of deep learning as pure Flax modules.

model = zoo.create("resnet20", classes=10)
variables = model.init(key, x, train=False)
logits = model.apply(variables, x, train=False)
"""

import importlib
from typing import TYPE_CHECKING, Any

from zoo.errors import UserError

if TYPE_CHECKING:
    from zoo.cards import Card
    from zoo.library import (
        CARDS,
        card,
        create,
        features,
        list_models,
        list_pretrained,
        load_model,
        load_weights,
        param_count,
        pretrained,
        register,
        save_weights,
    )

__all__ = [
    "CARDS",
    "Card",
    "UserError",
    "card",
    "create",
    "features",
    "list_models",
    "list_pretrained",
    "load_model",
    "load_weights",
    "param_count",
    "pretrained",
    "register",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    """Import JAX and the models at first use, so that `import zoo` itself is fast."""
    if name in __all__:
        return getattr(importlib.import_module("zoo.library"), name)
    try:
        return importlib.import_module(f"zoo.{name}")
    except ModuleNotFoundError:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
