"""A Source of new scenes: they are composed in the compiled step that learns from them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jax.sharding import Mesh, NamedSharding

from train.config import Scenes
from train.core import devices
from train.core.task import T
from train.data.scenes import compose, sets
from train.data.scenes.glyphs import Glyphs
from train.data.scenes.presets import Preset
from train.data.sources import Batch, shard


@struct.dataclass
class NewScenes:
    """Scenes that are never stored. The key and the number of a step decide its batch, so a run resumes to its bits."""

    glyphs: Glyphs
    preset: Preset = struct.field(pytree_node=False)
    stream: int = struct.field(pytree_node=False)
    size: int = struct.field(pytree_node=False)
    batch: int = struct.field(pytree_node=False)
    segmented: bool = struct.field(pytree_node=False)
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)

    def plan(self, key: Array, step: Array, n: int) -> dict[str, Array]:
        """Return {"number": uint32 (n, batch)}, which of the 2^32 scenes each batch holds."""

        def numbers(step: Array) -> Array:
            return jax.random.bits(jax.random.fold_in(key, step), (self.batch,), jnp.uint32)

        return {"number": jax.vmap(numbers)(step + jnp.arange(n))}

    def feed(self, planned: dict[str, Array], use: Callable[[Batch], T]) -> T:
        """Return `use` of {"x": uint8 (batch, size, size, 1), "y": int32 (batch,)}; segmented: y is `Scene.classes`."""
        number = shard(planned, self.sharding)["number"]
        # Without the barrier XLA draws the placement again for each pixel, which takes several times as long.
        placement = jax.lax.optimization_barrier(compose.draw(jnp, self.glyphs, self.preset, self.stream, number))
        seeds = (self.stream, number)
        image, mask = compose.render(jnp, self.glyphs, placement, self.size, self.preset.noise, seeds)
        label = jnp.asarray(self.glyphs.label)[placement.glyph[:, 0]]
        target = sets.classes_of_pixels(jnp, mask, label) if self.segmented else label
        batch = {"x": image[..., None], "y": target}
        return use(shard(batch, self.sharding))


def new_scenes(data: Scenes, batch: int, mesh: Mesh | None) -> NewScenes:
    """Return the source of the training scenes of a config, `batch` in each step."""
    glyphs, stream = sets.tables(data, "train")
    placed = devices.place(glyphs, mesh)
    segmented = sets.view_of(data.name) == "segment"
    sharding = devices.batch_sharding(mesh)
    return NewScenes(placed, sets.preset_of(data), stream, data.size, batch, segmented, sharding)
