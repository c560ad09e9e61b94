"""The keys of the config.json that timm writes beside its weights.

timm names the network by `architecture`, and changes it by `model_args`. Architectures with the same arrays can be
different networks: resnetaa50 and resnetblur50 have those of resnet50.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from zoo.weights import hugging_face
from zoo.weights.keys import Keys

ABOUT = ("do_pooling", "label_descriptions", "label_names", "labels", "num_classes", "num_features", "pretrained_cfg")
"""What does not change the network, or shows in its arrays."""
SIZES = ("in_chans", "img_size", "num_classes")
"""Arguments of every network that show in its arrays."""


def keys(
    architecture: str, pool: str, used: Mapping[str, Any], only: Mapping[str, tuple[Any, ...]], harmless: Iterable[str]
) -> Keys:
    """Return the keys for one architecture of ours.

    architecture: a regular expression for the names that have our network. pool: how timm calls our pooling.
    used, only, harmless: arguments in `model_args`.
    """
    arguments = Keys(used, {"global_pool": (pool,), **only}, harmless=frozenset((*SIZES, *harmless)))
    return Keys(
        only={"global_pool": (pool,), "is_encoder_decoder": (False,)},
        pattern={"architecture": architecture, "architectures": r"TimmWrapper\w+"},
        objects={"model_args": arguments},
        needs=("architecture",),
        harmless=frozenset((*ABOUT, "model_type", *hugging_face.ABOUT)),
    )


def kinds(keys: Keys) -> dict[str, Keys]:
    """Return the keys by `model_type`: timm's own file has none, and transformers 5 writes it as "timm_wrapper"."""
    return {"": keys, "timm_wrapper": keys}
