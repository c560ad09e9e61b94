"""Pytree dataclasses whose fields have other names in checkpoints than in code."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

import jax
from jax.tree_util import GetAttrKey

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def stored_as(**stored_names: str) -> Callable[[type[T]], type[T]]:
    """Make a class a frozen dataclass and a pytree; checkpoints store the given fields under other names.

    A checkpoint names an array by its path in the State. So a field that gets a better name in code keeps its old name
    in checkpoints, and old runs can still be resumed:

        @stored_as(env_state="living")
        class Agent:
            env_state: VectorState  # checkpoints call it aux/living
    """

    def decorate(cls: type[T]) -> type[T]:
        frozen: Any = dataclasses.dataclass(frozen=True)(cls)
        names = [field.name for field in dataclasses.fields(frozen)]
        if unknown := stored_names.keys() - set(names):
            raise TypeError(f"{cls.__name__} has no field {', '.join(sorted(unknown))}")
        keys = [GetAttrKey(stored_names.get(name, name)) for name in names]

        def flatten(node: T) -> tuple[list[Any], None]:
            return [getattr(node, name) for name in names], None

        def flatten_with_keys(node: T) -> tuple[list[tuple[Any, Any]], None]:
            return list(zip(keys, flatten(node)[0], strict=True)), None

        def unflatten(_: None, children: Any) -> T:
            return frozen(*children)

        jax.tree_util.register_pytree_with_keys(frozen, flatten_with_keys, unflatten, flatten)
        return frozen

    return decorate
