"""Adversarial training: a step updates the discriminator first, then the generator."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.algorithms.averages import evaluation_variables, init_optimizer
from train.algorithms.freezing import patterns_of, still_statistics
from train.config import Adversarial
from train.core import Mean, Metrics, State, Task, descend
from train.data.inputs import Batch, Inputs


class Losses(NamedTuple):
    """What the two networks minimize, example by example."""

    disc: Callable[[Array, Array], Array]  # logits of real images, logits of generated images -> (B,)
    gen: Callable[[Array], Array]  # logits of generated images -> (B,)


LOSSES = {
    "minimax": Losses(losses.minimax_discriminator, losses.minimax_generator),
    "non_saturating": Losses(losses.minimax_discriminator, losses.non_saturating_generator),
    "hinge": Losses(losses.hinge_discriminator, losses.critic_generator),
    "wasserstein": Losses(losses.wasserstein_critic, losses.critic_generator),
}
NETWORKS = {"gen": "generator", "disc": "discriminator"}
"""The name of each network in a State, and its name in the variables of the model."""


@dataclasses.dataclass(frozen=True)
class Player:
    """One network of the pair, called `name` in a State. It sees none of the other network's variables.

    With precision "bfloat16" parameters and images are cast for the forward and backward pass, as in `Network`.
    """

    model: nn.Module
    name: str
    precision: str = "float32"
    frozen: tuple[str, ...] = ()  # patterns of its parameters that do not learn

    def variables(self, params: Any, rest: Any) -> dict[str, Any]:
        """Nest a State's params[name] and vars[name] as the model expects its variables."""
        own = {"params": params, **rest}
        return {collection: {NETWORKS[self.name]: tree} for collection, tree in own.items()}

    def train(self, params: Any, rest: Any, x: Array, labels: Array | None, key: Array) -> tuple[Array, Any]:
        """Return (output, vars[name] with updated batch statistics); `key` is that of dropout."""
        with still_statistics(self.frozen, params, above=1):
            output, updated = self._apply(
                params, rest, x, labels, train=True, rngs={"dropout": key}, mutable=list(rest)
            )
        return output, {collection: tree[NETWORKS[self.name]] for collection, tree in updated.items()}

    def evaluate(self, params: Any, rest: Any, x: Array, labels: Array | None) -> Array:
        """Return the output in evaluation mode: running averages as batch statistics, no dropout."""
        return self._apply(params, rest, x, labels, train=False)

    def _apply(self, params: Any, rest: Any, x: Array, labels: Array | None, **mode: Any) -> Any:
        params, x = jax.tree.map(lambda leaf: leaf.astype(self.precision), (params, x))
        method = {"gen": "generate", "disc": "discriminate"}[self.name]
        return self.model.apply(self.variables(params, rest), x, labels, method=method, **mode)


@dataclasses.dataclass(frozen=True, eq=False)
class Game:
    """The pair in training. `adversarial` describes its fields and its step."""

    model: nn.Module
    gen_tx: optax.GradientTransformation
    disc_tx: optax.GradientTransformation
    inputs: Inputs
    config: Adversarial
    precision: str

    @property
    def gen(self) -> Player:
        return Player(self.model, "gen", self.precision, patterns_of(self.gen_tx))

    @property
    def disc(self) -> Player:
        return Player(self.model, "disc", self.precision, patterns_of(self.disc_tx))

    @property
    def losses(self) -> Losses:
        return LOSSES[self.config.loss]

    @property
    def is_wasserstein(self) -> bool:
        return self.config.loss == "wasserstein"

    def labels_of(self, batch: Batch) -> Array | None:
        """The labels, where the networks are conditioned on them."""
        return batch["y"] if self.model.cfg.classes else None

    def judge(self, real: Array, fake: Array) -> dict[str, Array]:
        """Turn the discriminator's logits (B,) of real and of generated images into metrics of each example."""
        if self.is_wasserstein:  # the sign of a critic's output does not say real or generated
            return {"distance": (real - fake).astype(jnp.float32)}
        return {"real_accuracy": real > 0, "fake_accuracy": fake < 0}

    def init(self, key: Array) -> State:
        prior_key, model_key = jax.random.split(key)
        labels = self.labels_of({"y": jnp.zeros((1,), jnp.int32)})
        variables = dict(self.model.init(model_key, self.model.prior(prior_key, 1), labels, train=False))
        own = {
            name: {collection: tree[network] for collection, tree in variables.items() if network in tree}
            for name, network in NETWORKS.items()
        }
        params = {name: collections.pop("params") for name, collections in own.items()}
        opt = {
            "gen": init_optimizer(self.gen_tx, params["gen"], own["gen"]),
            "disc": self.disc_tx.init(params["disc"]),  # its weights are never averaged
        }
        # The State is donated to the next step, so the two sets of averages must not share a buffer: copy one.
        averages = {"real": own["disc"], "fake": jax.tree.map(jnp.copy, own["disc"])}
        return State(jnp.zeros((), jnp.int32), params, opt, {"gen": own["gen"], "disc": averages})

    def update_disc(self, state: State, batch: Batch, key: Array) -> tuple[State, Metrics]:
        """Update the discriminator once, on as many generated images as the batch has real ones."""
        augment_key, prior_key, gen_key, real_key, fake_key, mix_key = jax.random.split(key, 6)
        labels, count = self.labels_of(batch), len(batch["y"])
        augmented, _ = self.inputs.train(augment_key, batch, jnp.zeros((count, 1)))
        real = augmented["x"]
        z = self.model.prior(prior_key, count)
        fake, _ = self.gen.train(state.params["gen"], state.vars["gen"], z, labels, gen_key)
        fake = fake.astype(jnp.float32)
        averages = state.vars["disc"]

        def penalty_of(params: Any) -> Array:
            share = jax.random.uniform(mix_key, (count, 1, 1, 1))
            mixed = share * real + (1 - share) * fake

            def critic(x: Array) -> Array:
                return self.disc.train(params, averages["fake"], x, labels, real_key)[0]

            return losses.gradient_penalty(critic, mixed).mean()

        def loss_of(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
            updated: dict[str, Any] = {}
            real_logits, updated["real"] = self.disc.train(params, averages["real"], real, labels, real_key)
            fake_logits, updated["fake"] = self.disc.train(params, averages["fake"], fake, labels, fake_key)
            loss = self.losses.disc(real_logits, fake_logits).mean()
            metrics: Metrics = {name: each.mean() for name, each in self.judge(real_logits, fake_logits).items()}
            if self.is_wasserstein:
                metrics["penalty"] = penalty = penalty_of(params)
                loss += self.config.penalty * penalty
            return loss, (updated, metrics)

        state, metrics = descend(state, "disc", self.disc_tx, loss_of, gradient_norm=True)
        return state, _prefixed("disc", metrics)

    def update_gen(self, state: State, labels: Array | None, count: int, key: Array) -> tuple[State, Metrics]:
        """Update the generator once, on `count` images of its own."""
        prior_key, gen_key, disc_key = jax.random.split(key, 3)
        z = self.model.prior(prior_key, count)

        def loss_of(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
            fake, updated = self.gen.train(params, state.vars["gen"], z, labels, gen_key)
            logits, _ = self.disc.train(state.params["disc"], state.vars["disc"]["fake"], fake, labels, disc_key)
            return self.losses.gen(logits).mean(), (updated, {})

        state, metrics = descend(state, "gen", self.gen_tx, loss_of, gradient_norm=True)
        return state, _prefixed("gen", metrics)

    def step(self, state: State, batch: Batch, key: Array) -> tuple[State, Metrics]:
        """Update the discriminator `critic_steps` times, each time on images of its own, then the generator once."""
        updates = self.config.critic_steps
        disc_key, gen_key = jax.random.split(key)
        batches, keys = _cut(batch, updates), jax.random.split(disc_key, updates)
        if updates == 1:  # a loop of one turn would cost compilation
            first = jax.tree.map(lambda leaf: leaf[0], batches)
            state, metrics = self.update_disc(state, first, keys[0])
        else:
            state, each = jax.lax.scan(lambda state, turn: self.update_disc(state, *turn), state, (batches, keys))
            metrics = jax.tree.map(jnp.mean, each)
        last = jax.tree.map(lambda leaf: leaf[-1], batches)
        state, gen_metrics = self.update_gen(state, self.labels_of(last), len(last["y"]), gen_key)
        return state, metrics | gen_metrics

    def latents_at(self, positions: Array) -> Array:
        """Return the latents that evaluation judges beside the real images at `positions` of a split: (B, Z).

        They follow from the position alone. So a figure repeats, whatever the size of a batch and the form of an image.
        """
        keys = jax.vmap(lambda position: jax.random.fold_in(jax.random.key(0), position))(positions)
        return jax.vmap(lambda key: self.model.prior(key, 1)[0])(keys)

    def evaluate(self, state: State, batch: Batch) -> Metrics:
        """Sum losses and metrics over the examples under "mask", and count them."""
        real, labels = self.inputs.evaluate(batch)["x"], self.labels_of(batch)
        z = self.latents_at(batch.get("position", jnp.arange(len(real))))
        generator = evaluation_variables(state, "gen")
        fake = self.gen.evaluate(generator.pop("params"), generator, z, labels)
        params, averages = state.params["disc"], state.vars["disc"]
        real_logits = self.disc.evaluate(params, averages["real"], real, labels)
        fake_logits = self.disc.evaluate(params, averages["fake"], fake, labels)
        values = {
            "disc_loss": self.losses.disc(real_logits, fake_logits),
            "gen_loss": self.losses.gen(fake_logits),
            **self.judge(real_logits, fake_logits),
            "count": jnp.ones_like(batch["mask"]),
        }
        return {name: jnp.sum(value * batch["mask"]) for name, value in values.items()}


def adversarial(
    model: nn.Module,
    gen_tx: optax.GradientTransformation,
    disc_tx: optax.GradientTransformation,
    inputs: Inputs,
    config: Adversarial | None = None,
    *,
    precision: str = "float32",
) -> Task:
    """Build the Task over {"x": images that `inputs` accepts, "y": int32}, and "mask" when evaluating.

    A batch holds critic_steps * B images; "y" matters only where the model's `classes` are above 0.
    model: a pair such as `zoo.gan.GAN`. `inputs` must bring pixels to the model's RANGE.

    A step is Algorithm 1 of Goodfellow et al. 2014: `critic_steps` updates of the discriminator, each on B real images
    and B images generated from fresh noise, then one update of the generator on fresh noise again. With the loss
    "wasserstein" the discriminator's loss has `penalty` times the gradient penalty between the two kinds of images.

    Batch statistics: the discriminator sees real and generated images as two batches, each normalized by itself, as
    the authors of DCGAN do it. It therefore keeps averages of each kind, vars["disc"] = {"real", "fake"}; with averages
    of both kinds mixed it could tell nothing apart in evaluation. Each network updates only its own averages, and only
    in its own update.
    """
    game = Game(model, gen_tx, disc_tx, inputs, config or Adversarial(), precision)
    return Task(game.init, game.step, game.evaluate)


def _prefixed(network: str, metrics: Metrics) -> Metrics:
    """Put the network's name before loss and gradient norm; cast every metric to float32."""

    def name_of(metric: str) -> str:
        return f"{network}_{metric}" if metric in ("loss", "gradient_norm") else metric

    prefixed: Metrics = {}
    for metric, value in metrics.items():
        assert not isinstance(value, Mean)  # the pair counts nothing in a step
        prefixed[name_of(metric)] = value.astype(jnp.float32)
    return prefixed


def _cut(batch: Batch, pieces: int) -> Batch:
    """Cut leaves (pieces * B, ...) into (pieces, B, ...).

    Neighbours go to different pieces, so that a batch whose first axis is cut across devices stays where it is.
    """

    def cut(leaf: Array) -> Array:
        return jnp.moveaxis(leaf.reshape(-1, pieces, *leaf.shape[1:]), 1, 0)

    return jax.tree.map(cut, dict(batch))
