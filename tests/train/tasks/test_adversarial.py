"""The game of two networks: who moves what, the losses, statistics of each, several critic steps, rates, averages."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import slow_except
from jax import Array

import zoo
from train.algorithms import losses
from train.algorithms.averages import evaluation_params
from train.algorithms.optimizers import make_optimizer
from train.config import Adversarial, Data, Experiment, Model, Optim
from train.core import ReplicaTasks, State, Task, run_chunk, run_replicas
from train.data.inputs import images
from train.data.sources import Resident
from train.inference import images as samples
from train.tasks.adversarial.setup import make_optimizers
from train.tasks.adversarial.task import Game, adversarial

KEY = jax.random.key(0)
SHAPE = (8, 8, 1)
PAIRS = {
    "gan": {"shape": SHAPE, "latent": 6, "widths": (16,), "units": (12, 8), "pieces": 3},
    "dcgan_28": {"widths": (8, 4), "base": 2, "latent": 6},
}
each = pytest.mark.parametrize("name", slow_except(["gan"], PAIRS))


@functools.cache
def game(name: str, loss: str = "non_saturating", critic_steps: int = 1, ema: float = 0.0, **fields: Any) -> Game:
    model = zoo.create(name, **{**PAIRS[name], **fields})
    low, high = model.RANGE
    inputs = images(SHAPE, (), -low / (high - low), 1 / (high - low))
    gen, disc = (make_optimizer(Optim("adam", lr=0.01, b1=0.5, ema=average), 100) for average in (ema, 0.0))
    return Game(model, gen, disc, inputs, Adversarial(loss=loss, critic_steps=critic_steps), "float32")


@functools.cache
def fresh(made: Game) -> State:
    return jax.jit(made.init)(KEY)


def batch_of(count: int = 8) -> dict[str, Array]:
    x = jax.random.randint(jax.random.key(5), (count, *SHAPE), 0, 256).astype(jnp.uint8)
    return {"x": x, "y": jnp.arange(count, dtype=jnp.int32) % 3}


@functools.cache
def update_disc(made: Game) -> tuple[State, dict]:
    return jax.jit(made.update_disc)(fresh(made), batch_of(), KEY)


@functools.cache
def update_gen(made: Game) -> tuple[State, dict]:
    labels = made.labels_of(batch_of())
    return jax.jit(lambda state: made.update_gen(state, labels, 8, KEY))(fresh(made))


def of(state: State, name: str) -> dict:
    return {"params": state.params[name], "opt": state.opt[name], "vars": state.vars[name]}


def assert_same(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_all_moved(before: Any, after: Any) -> None:
    for (path, old), new in zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True):
        assert np.any(old != new), jax.tree_util.keystr(path)


@each
def test_a_discriminator_step_leaves_the_generator_untouched(name: str) -> None:
    made = game(name)
    before, (after, _) = fresh(made), update_disc(made)
    assert_same(of(before, "gen"), of(after, "gen"))
    assert_all_moved(before.params["disc"], after.params["disc"])
    assert_all_moved(before.vars["disc"], after.vars["disc"])


@each
def test_a_generator_step_leaves_the_discriminator_untouched(name: str) -> None:
    made = game(name)
    before, (after, _) = fresh(made), update_gen(made)
    assert_same(of(before, "disc"), of(after, "disc"))
    assert_all_moved(before.params["gen"], after.params["gen"])
    assert_all_moved(before.vars["gen"], after.vars["gen"])


def test_a_step_is_the_discriminators_update_and_then_the_generators_on_it() -> None:
    made = game("gan")
    state, metrics = jax.jit(made.step)(fresh(made), batch_of(), KEY)
    disc_key, gen_key = jax.random.split(KEY)
    halfway, disc = jax.jit(made.update_disc)(fresh(made), batch_of(), jax.random.split(disc_key, 1)[0])
    by_hand, gen = jax.jit(lambda s: made.update_gen(s, None, 8, gen_key))(halfway)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), state.params, by_hand.params)
    assert metrics.keys() == disc.keys() | gen.keys()
    names = {"disc_loss", "gen_loss", "real_accuracy", "fake_accuracy", "disc_gradient_norm", "gen_gradient_norm"}
    assert metrics.keys() == names
    assert all(value.dtype == jnp.float32 for value in metrics.values())


@pytest.mark.slow
def test_statistics_of_the_discriminator_are_those_of_real_and_of_made_images_apart() -> None:
    made = game("dcgan_28")
    before, (after, _) = fresh(made), update_disc(made)
    keys = jax.random.split(KEY, 6)
    real = batch_of()["x"].astype(jnp.float32) / 127.5 - 1
    z = made.model.prior(keys[1], 8)
    fake, _ = made.gen.train(before.params["gen"], before.vars["gen"], z, None, keys[2])
    past, close = before.vars["disc"], functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    for kind, shown in (("real", real), ("fake", fake)):
        _, moved = made.disc.train(before.params["disc"], past[kind], shown, None, keys[3])
        jax.tree.map(close, after.vars["disc"][kind], moved)
    means = [jax.tree.leaves(after.vars["disc"][kind])[0] for kind in ("real", "fake")]
    assert not np.allclose(*means, rtol=1e-2)


@pytest.mark.slow
def test_a_trained_discriminator_judges_in_evaluation_as_in_training() -> None:
    made = game("dcgan_28")
    step, state = jax.jit(made.step), fresh(made)
    for number in range(60):
        state, metrics = step(state, batch_of(), jax.random.key(number))
    sums = jax.jit(made.evaluate)(state, batch_of() | {"mask": jnp.ones(8)})
    for answer in ("real_accuracy", "fake_accuracy"):
        assert abs(sums[answer] / 8 - metrics[answer]) < 0.3


def test_losses_are_those_of_the_papers() -> None:
    real, fake = np.array([-3.0, 0.2, 4.0], np.float32), np.array([2.0, -0.5, -6.0], np.float32)
    d = lambda logit: 1 / (1 + np.exp(-logit.astype(np.float64)))  # noqa: E731
    expected = {
        losses.minimax_discriminator: -np.log(d(real)) - np.log(1 - d(fake)),
        losses.hinge_discriminator: np.maximum(0, 1 - real) + np.maximum(0, 1 + fake),
        losses.wasserstein_critic: fake - real,
    }
    for loss, values in expected.items():
        np.testing.assert_allclose(loss(jnp.asarray(real), jnp.asarray(fake)), values, rtol=1e-5)
    np.testing.assert_allclose(losses.minimax_generator(jnp.asarray(fake)), np.log(1 - d(fake)), rtol=1e-5)
    np.testing.assert_allclose(losses.non_saturating_generator(jnp.asarray(fake)), -np.log(d(fake)), rtol=1e-5)
    np.testing.assert_allclose(losses.critic_generator(jnp.asarray(fake)), -fake)


@pytest.mark.parametrize(("slope", "expected"), [(1.0, 0.0), (3.0, 4.0), (0.0, 1.0)])
def test_gradient_penalty_is_that_of_the_slope(slope: float, expected: float) -> None:
    direction = jax.random.normal(KEY, SHAPE)
    direction /= jnp.linalg.norm(direction)
    x = jax.random.normal(jax.random.key(1), (4, *SHAPE))

    def mean_penalty(slope: Array) -> Array:
        return losses.gradient_penalty(lambda x: slope * jnp.sum(x * direction[None], axis=(1, 2, 3)), x).mean()

    value, gradient = jax.value_and_grad(mean_penalty)(slope)
    np.testing.assert_allclose(value, expected, atol=1e-5)
    assert np.isfinite(gradient)


def test_the_penalty_is_taken_for_each_example() -> None:
    x = jnp.array([[1.0, 0.0], [0.0, 2.0]])  # of |x|²/2 the slope at x is |x|
    np.testing.assert_allclose(losses.gradient_penalty(lambda x: jnp.sum(x**2, axis=1) / 2, x), [0.0, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "critic_steps"),
    [*(pytest.param(loss, 1, marks=pytest.mark.slow) for loss in ("minimax", "hinge")), ("wasserstein", 3)],
)
def test_every_loss_trains_and_a_critic_takes_its_steps(loss: str, critic_steps: int) -> None:
    made = game("gan", loss, critic_steps)
    state, metrics = jax.jit(made.step)(fresh(made), batch_of(8 * critic_steps), KEY)
    assert all(np.isfinite(value) for value in metrics.values())
    for name, updates in (("gen", 1), ("disc", critic_steps)):
        assert {int(n) for _, n in optax.tree.get_all_with_path(state.opt[name], "count")} == {updates}
    assert ("penalty" in metrics) == ("distance" in metrics) == (loss == "wasserstein")
    assert ("real_accuracy" in metrics) == (loss != "wasserstein")


@pytest.mark.slow
def test_each_critic_step_sees_its_own_images() -> None:
    made, seen = game("gan", "wasserstein", 3), []
    plain = made.inputs
    spy = plain._replace(
        train=lambda key, batch, labels: (jax.debug.callback(seen.append, batch["y"]), plain.train(key, batch, labels))[
            1
        ]
    )
    watched = Game(
        made.model, made.gen_tx, made.disc_tx, spy, Adversarial(loss="wasserstein", critic_steps=3), "float32"
    )
    batch = batch_of(12) | {"y": jnp.arange(12)}
    jax.block_until_ready(jax.jit(watched.step)(fresh(made), batch, KEY))
    jax.effects_barrier()
    assert sorted(np.concatenate(seen).tolist()) == list(range(12))


def test_the_schedule_of_a_critic_of_several_steps_keeps_pace_with_the_generators() -> None:
    optim = Optim("sgd", lr=1.0, schedule="cosine", warmup_steps=4)
    task = Adversarial(critic_steps=3, gen_lr=0.5)
    gen, disc = make_optimizers(Experiment(Model("gan"), Data("digits"), optim, steps=20, task=task))
    rates: dict[str, list] = {}
    for name, tx, updates in (("gen", gen, 20), ("disc", disc, 60)):
        opt, ones = tx.init(jnp.zeros(())), jnp.ones(())
        rates[name] = []
        for _ in range(updates):
            update, opt = tx.update(ones, opt, jnp.zeros(()))
            rates[name].append(-float(update))
    np.testing.assert_allclose(rates["disc"][::3], 2 * np.array(rates["gen"]), atol=1e-6)


def test_patterns_of_parameters_name_their_network() -> None:
    optim = Optim("sgd", lr=1.0, freeze=("gen/hidden*",), rates=("disc/head/*=0.5",))
    gen, disc = make_optimizers(Experiment(Model("gan"), Data("digits"), optim, task=Adversarial()))
    params = {"hidden0": {"kernel": jnp.ones(())}, "head": {"kernel": jnp.ones(())}}
    updates = [tx.update(params, tx.init(params), params)[0] for tx in (gen, disc)]
    assert [float(u["hidden0"]["kernel"]) for u in updates] == [0, -1]
    assert [float(u["head"]["kernel"]) for u in updates] == [-1, -0.5]


def test_a_conditional_pair_is_told_labels() -> None:
    made = game("gan", classes=3)
    state, batch = fresh(made), batch_of()
    other = batch | {"y": (batch["y"] + 1) % 3}
    step = jax.jit(made.step)
    one, another = (step(state, given, KEY)[1] for given in (batch, other))
    assert all(one[metric] != another[metric] for metric in ("disc_loss", "gen_loss"))


@pytest.mark.slow
def test_the_average_of_the_generator_makes_the_images() -> None:
    made = game("gan", ema=0.5)
    step = jax.jit(made.step)
    state, _ = step(step(fresh(made), batch_of(), KEY)[0], batch_of(), KEY)
    average = evaluation_params(state, "gen")
    assert_all_moved(state.params["gen"], average)
    z = samples.latents(made.model, 0, 3)
    by_hand = made.gen.evaluate(average, state.vars["gen"], z, None)
    np.testing.assert_allclose(samples.make(made.model, samples.variables(state), z), by_hand, rtol=1e-5)
    untrained = fresh(game("gan"))
    assert evaluation_params(untrained, "gen") is untrained.params["gen"]


def test_with_bfloat16_parameters_and_statistics_stay_float32() -> None:
    made = game("dcgan_28")
    half = Game(made.model, made.gen_tx, made.disc_tx, made.inputs, made.config, "bfloat16")
    state, metrics = jax.eval_shape(half.step, fresh(made), batch_of(), KEY)
    assert jax.tree.map(lambda leaf: leaf.dtype, state) == jax.tree.map(lambda leaf: leaf.dtype, fresh(made))
    assert {value.dtype for value in metrics.values()} == {jnp.dtype("float32")}


def test_evaluation_is_masked_and_repeats() -> None:
    made = game("gan")
    evaluate, state, batch = jax.jit(made.evaluate), fresh(made), batch_of()
    whole, again = (evaluate(state, batch | {"mask": jnp.ones(8)}) for _ in range(2))
    assert_same(whole, again)
    half = evaluate(state, batch | {"mask": (jnp.arange(8) < 4).astype(jnp.float32)})
    assert half["count"] == 4
    assert 0 < half["disc_loss"] < whole["disc_loss"]
    assert whole["fake_accuracy"] + whole["real_accuracy"] <= 16


def test_what_an_evaluation_draws_follows_from_the_position_alone() -> None:
    """It followed from the sum of the pixels: that of a batch, and 0 for images of float between 0 and 1."""
    made = game("gan")
    evaluate, state = jax.jit(made.evaluate), fresh(made)
    batch = batch_of() | {"mask": jnp.ones(8), "position": jnp.arange(8)}
    whole = evaluate(state, batch)
    halves = [evaluate(state, jax.tree.map(lambda leaf, cut=cut: leaf[cut], batch)) for cut in (slice(4), slice(4, 8))]
    for name, value in whole.items():
        np.testing.assert_allclose(halves[0][name] + halves[1][name], value, rtol=1e-5)
    z = np.asarray(made.latents_at(jnp.arange(8)))
    assert len(np.unique(z, axis=0)) == 8


@pytest.mark.slow
def test_seeds_side_by_side_play_as_they_do_alone() -> None:
    made = game("gan")
    task = Task(made.init, made.step, made.evaluate)
    keys, data = jax.random.split(KEY, 2), Resident(batch_of(), 4)
    states = jax.jit(jax.vmap(made.init))(keys)
    alone, _ = run_chunk(task, jax.tree.map(lambda leaf: leaf[1], states), data, keys[1], 2)
    together, metrics = run_replicas(ReplicaTasks(lambda _: task, "vmap"), {}, states, data, keys, 2)
    assert metrics["gen_loss"].shape == (2, 2)
    for one, other in zip(jax.tree.leaves(together.params), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(one[1], other, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_the_task_is_that_of_the_game() -> None:
    made = game("gan", "hinge")
    task = adversarial(made.model, made.gen_tx, made.disc_tx, made.inputs, Adversarial(loss="hinge"))
    _, metrics = jax.jit(task.step)(fresh(made), batch_of(), KEY)
    _, same = jax.jit(made.step)(fresh(made), batch_of(), KEY)
    assert_same(metrics, same)
