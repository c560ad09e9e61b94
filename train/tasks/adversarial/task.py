"""Adversarial training: two networks against each other, the discriminator updated first, then the generator."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.algorithms.averages import evaluation_params
from train.core import Metrics, State, Task, descend
from train.data.inputs import Batch, Inputs

LOSSES = {  # (of the discriminator, from logits of real and made images; of the generator, from those of made ones)
    "minimax": (losses.minimax_discriminator, losses.minimax_generator),
    "non_saturating": (losses.minimax_discriminator, losses.non_saturating_generator),
    "hinge": (losses.hinge_discriminator, losses.critic_generator),
    "wasserstein": (losses.wasserstein_critic, losses.critic_generator),
}
NETWORKS = {"gen": "generator", "disc": "discriminator"}
"""Their names in a State, and in the variables of the model."""


@dataclasses.dataclass(frozen=True)
class Player:
    """One network of the pair in training, called `name` in a State; the other's variables are out of its reach.

    With precision "bfloat16" parameters and images are cast for the forward and backward pass, as in `Network`.
    """

    model: nn.Module
    name: str
    precision: str = "float32"

    def variables(self, params: Any, rest: Any) -> dict[str, Any]:
        """As the model takes them, from a State's params[name] and vars[name]."""
        return {c: {NETWORKS[self.name]: tree} for c, tree in {"params": params, **rest}.items()}

    def train(self, params: Any, rest: Any, x: Array, labels: Array | None, key: Array) -> tuple[Array, Any]:
        """(output, vars[name] with the statistics moved); `key` is that of dropout."""
        output, moved = self._apply(params, rest, x, labels, train=True, rngs={"dropout": key}, mutable=list(rest))
        return output, {collection: tree[NETWORKS[self.name]] for collection, tree in moved.items()}

    def evaluate(self, params: Any, rest: Any, x: Array, labels: Array | None) -> Array:
        """The output out of training: statistics of the past instead of the batch's, no dropout."""
        return self._apply(params, rest, x, labels, train=False)

    def _apply(self, params: Any, rest: Any, x: Array, labels: Array | None, **how: Any) -> Any:
        params, x = jax.tree.map(lambda leaf: leaf.astype(self.precision), (params, x))
        method = {"gen": "generate", "disc": "discriminate"}[self.name]
        return self.model.apply(self.variables(params, rest), x, labels, method=method, **how)


@dataclasses.dataclass(frozen=True, eq=False)
class Game:
    """The pair in training. `adversarial` says what it is made of."""

    model: nn.Module
    gen_tx: optax.GradientTransformation
    disc_tx: optax.GradientTransformation
    inputs: Inputs
    loss: str
    critic_steps: int
    penalty: float
    precision: str

    @property
    def gen(self) -> Player:
        return Player(self.model, "gen", self.precision)

    @property
    def disc(self) -> Player:
        return Player(self.model, "disc", self.precision)

    def told(self, batch: Batch) -> Array | None:
        """The labels, where the networks are told them."""
        return batch["y"] if self.model.cfg.classes else None

    def judged(self, real: Array, fake: Array) -> Metrics:
        """What the discriminator's answers (B,) to real and to made images come to, for each example."""
        if self.loss == "wasserstein":  # its sign does not say real or made
            return {"distance": (real - fake).astype(jnp.float32)}
        return {"real_accuracy": real > 0, "fake_accuracy": fake < 0}

    def init(self, key: Array) -> State:
        prior_key, model_key = jax.random.split(key)
        labels = self.told({"y": jnp.zeros((1,), jnp.int32)})
        variables = dict(self.model.init(model_key, self.model.prior(prior_key, 1), labels, train=False))
        own = {
            name: {collection: tree[there] for collection, tree in variables.items() if there in tree}
            for name, there in NETWORKS.items()
        }
        params = {name: collections.pop("params") for name, collections in own.items()}
        opt = {"gen": self.gen_tx.init(params["gen"]), "disc": self.disc_tx.init(params["disc"])}
        apart = {"real": own["disc"], "fake": jax.tree.map(jnp.copy, own["disc"])}  # copied: the state is donated
        return State(jnp.zeros((), jnp.int32), params, opt, {"gen": own["gen"], "disc": apart})

    def update_disc(self, state: State, batch: Batch, key: Array) -> tuple[State, Metrics]:
        """One update of the discriminator on as many made images as the batch has real ones."""
        augment_key, prior_key, gen_key, real_key, fake_key, mix_key = jax.random.split(key, 6)
        labels, count = self.told(batch), len(batch["y"])
        shown, _ = self.inputs.train(augment_key, batch, jnp.zeros((count, 1)))
        real, z = shown["x"], self.model.prior(prior_key, count)
        fake, _ = self.gen.train(state.params["gen"], state.vars["gen"], z, labels, gen_key)
        fake = fake.astype(jnp.float32)

        def loss_of(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
            past, moved = state.vars["disc"], {}
            real_logits, moved["real"] = self.disc.train(params, past["real"], real, labels, real_key)
            fake_logits, moved["fake"] = self.disc.train(params, past["fake"], fake, labels, fake_key)
            value = LOSSES[self.loss][0](real_logits, fake_logits).mean()
            metrics = {name: each.mean() for name, each in self.judged(real_logits, fake_logits).items()}
            if self.loss == "wasserstein":
                share = jax.random.uniform(mix_key, (count, 1, 1, 1))
                metrics["penalty"] = losses.gradient_penalty(
                    lambda x: self.disc.train(params, past["fake"], x, labels, real_key)[0],
                    share * real + (1 - share) * fake,
                ).mean()
                value += self.penalty * metrics["penalty"]
            return value, (moved, metrics)

        state, metrics = descend(state, "disc", self.disc_tx, loss_of, gradient_norm=True)
        return state, _owned("disc", metrics)

    def update_gen(self, state: State, labels: Array | None, count: int, key: Array) -> tuple[State, Metrics]:
        """One update of the generator on `count` images."""
        prior_key, gen_key, disc_key = jax.random.split(key, 3)
        z = self.model.prior(prior_key, count)

        def loss_of(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
            fake, moved = self.gen.train(params, state.vars["gen"], z, labels, gen_key)
            logits, _ = self.disc.train(state.params["disc"], state.vars["disc"]["fake"], fake, labels, disc_key)
            return LOSSES[self.loss][1](logits).mean(), (moved, {})

        state, metrics = descend(state, "gen", self.gen_tx, loss_of, gradient_norm=True)
        return state, _owned("gen", metrics)

    def step(self, state: State, batch: Batch, key: Array) -> tuple[State, Metrics]:
        disc_key, gen_key = jax.random.split(key)
        batches, keys = _cut(batch, self.critic_steps), jax.random.split(disc_key, self.critic_steps)
        if self.critic_steps == 1:  # without a loop of one turn, which would cost compilation
            first = jax.tree.map(lambda leaf: leaf[0], batches)
            state, metrics = self.update_disc(state, first, keys[0])
        else:
            state, each = jax.lax.scan(lambda state, turn: self.update_disc(state, *turn), state, (batches, keys))
            metrics = jax.tree.map(jnp.mean, each)
        last = jax.tree.map(lambda leaf: leaf[-1], batches)
        state, gen_metrics = self.update_gen(state, self.told(last), len(last["y"]), gen_key)
        return state, metrics | gen_metrics

    def evaluate(self, state: State, batch: Batch) -> Metrics:
        real, labels = self.inputs.evaluate(batch)["x"], self.told(batch)
        # The same noise for the same images, so that a figure repeats; other noise for others.
        key = jax.random.fold_in(jax.random.key(0), jnp.sum(batch["x"].astype(jnp.uint32)))
        z = self.model.prior(key, len(real))
        fake = self.gen.evaluate(evaluation_params(state, "gen"), state.vars["gen"], z, labels)
        answers = [
            self.disc.evaluate(state.params["disc"], state.vars["disc"][kind], x, labels)
            for kind, x in (("real", real), ("fake", fake))
        ]
        disc_loss, gen_loss = LOSSES[self.loss]
        values = {"disc_loss": disc_loss(*answers), "gen_loss": gen_loss(answers[1]), **self.judged(*answers)}
        values["count"] = jnp.ones_like(batch["mask"])
        return {name: jnp.sum(value * batch["mask"]) for name, value in values.items()}


def adversarial(
    model: nn.Module,
    gen_tx: optax.GradientTransformation,
    disc_tx: optax.GradientTransformation,
    inputs: Inputs,
    *,
    loss: str = "non_saturating",
    critic_steps: int = 1,
    penalty: float = 10.0,
    precision: str = "float32",
) -> Task:
    """A Task over {"x": images as `inputs` takes them, "y": int32}, (critic_steps · B, ...), "mask" when evaluating.

    model: a pair as `zoo.gan.GAN`; "y" matters only where its `classes` are above 0. `inputs` must bring pixels to
    the model's RANGE. A step is Algorithm 1 of Goodfellow et al. 2014: `critic_steps` updates of the discriminator,
    each on B real images and B made from fresh noise, then one of the generator on fresh noise again. loss
    "wasserstein" adds `penalty` times the gradient penalty between real and made images.

    Batch statistics: the discriminator meets real and made images as two batches, each normalized by itself, as
    DCGAN's authors show them. So it keeps averages for each kind, vars["disc"] = {"real", "fake"}: with averages of
    both mixed it would tell nothing apart in evaluation. A network moves only its own averages and only in its own
    update: the generator's stand still while the discriminator learns, and the other way round.
    """
    game = Game(model, gen_tx, disc_tx, inputs, loss, critic_steps, penalty, precision)
    return Task(game.init, game.step, game.evaluate)


def _owned(name: str, metrics: Metrics) -> Metrics:
    """Loss and gradient norm by the name of their network; float32 all of them."""
    named = {f"{name}_{metric}" if metric in ("loss", "gradient_norm") else metric: v for metric, v in metrics.items()}
    return {metric: value.astype(jnp.float32) for metric, value in named.items()}


def _cut(batch: Batch, pieces: int) -> Batch:
    """Leaves (pieces · B, ...) -> (pieces, B, ...); neighbours go to different pieces, so that a batch whose first
    axis is cut across devices stays where it is."""

    def one(leaf: Array) -> Array:
        return jnp.moveaxis(leaf.reshape(-1, pieces, *leaf.shape[1:]), 1, 0)

    return jax.tree.map(one, dict(batch))
