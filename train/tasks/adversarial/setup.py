"""Adversarial pairs on images: two optimizers, figures that compare made images with real ones, pictures."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

import train.data
import zoo
from train.algorithms import optimizers
from train.config import Experiment, Optim
from train.core import State, Task, devices
from train.data.feed import DeviceFeed, Feed, StreamFeed, streams
from train.data.images.augment import for_evaluation, output_shape, parse
from train.data.inputs import images
from train.data.sources import Resident
from train.data.split import Dataset, Split, some
from train.inference import images as samples
from train.metrics import evaluation, frechet
from train.metrics.evaluation import Evaluator
from train.pictures.generator import Pictures
from train.tasks.adversarial.task import NETWORKS, adversarial
from train.tasks.setup import Setup, make_model, require_able
from zoo.errors import UserError
from zoo.measure import count_flops

COMPARED = 2_000
"""Images, real and made, of which the pixels are compared at each evaluation."""
UNFIT = ("mixup", "cutmix", "cutout")  # augmentations after which an image is no longer one that could be real
NOTE = (
    f"Fréchet distance between Gaussians fitted to up to {COMPARED:,} real images and {COMPARED:,} made ones, in the "
    f"first {frechet.COMPONENTS} principal components of the training images' pixels (0 to 1); lower is better; not FID"
)


def assemble(experiment: Experiment) -> Setup:
    """The parts of a run in which a pair learns to make images."""
    require_able(experiment.model.name, is_pair, "make images from noise")
    task, data = experiment.task, experiment.data
    _check(experiment)
    dataset = train.data.load(data)
    operations = parse(data.augment, dataset.shape)
    height, width, channels = output_shape(operations, dataset.shape)
    _demand_size(experiment, height, width, f"{data.name} has")
    if task.critic_steps * data.batch > len(dataset.train):
        many = f"data.batch {data.batch}" + f" times task.critic_steps {task.critic_steps}" * (task.critic_steps > 1)
        raise UserError(f"{many} is larger than the {len(dataset.train)} training examples")
    model = make_model(experiment, **_given(experiment, (height, width, channels), dataset.classes))
    low, high = model.RANGE
    inputs = images(dataset.shape, data.augment, -low / (high - low), 1 / (high - low))

    def build(experiment: Experiment) -> Task:
        return adversarial(
            model,
            *make_optimizers(experiment),
            inputs,
            loss=task.loss,
            critic_steps=task.critic_steps,
            penalty=task.penalty,
            precision=experiment.precision,
        )

    made = build(experiment)
    parts = Setup(
        dataset,
        model,
        made,
        build,
        *_sizes(made, model),
        feed=lambda mesh, reader: _feed(experiment, dataset, mesh, reader),
        evaluator=_evaluators(experiment, dataset, made, model),
        best="-pixel_frechet",
        notes={"pixel_frechet": NOTE},
    )
    if task.loss == "wasserstein" and parts.abstract.vars["disc"]["real"]:
        raise UserError(
            "task.loss=wasserstein penalizes the gradient of each image, and this discriminator's batch normalization "
            "mixes images: choose model.norm=layer"
        )
    pictures = Pictures(model, seed=experiment.seed, split=dataset.train, operations=operations)
    passes = _passes(task.critic_steps, parts)
    return dataclasses.replace(parts, passes=passes, watch=pictures.watch, show=pictures.show)


def is_pair(card: zoo.Card) -> bool:
    """Whether the model of `card` is a generator and a discriminator."""
    return hasattr(card.module, "generate") and hasattr(card.module, "discriminate")


def _demand_size(experiment: Experiment, height: int, width: int, whose: str) -> None:
    """UserError unless the model makes images of this size, or can be told to."""
    config = zoo.create(experiment.model.name, **experiment.model.fields).cfg
    takes_any = "shape" in {field.name for field in dataclasses.fields(config)}
    if not takes_any and config.shape[:2] != (height, width):
        rows, columns = config.shape[:2]
        given = f"{height}x{width}" if whose.endswith("has") else str(height)
        remedy = f"set data.image_size={rows}, or model.base and model.widths"
        raise UserError(f"{experiment.model.name} makes images of {rows}x{columns}, and {whose} {given}: {remedy}")


def _given(experiment: Experiment, shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
    """Fields of the model that follow from the data and the task."""
    names = {field.name for field in dataclasses.fields(zoo.card(experiment.model.name).config)}
    told = experiment.task.conditional or experiment.model.fields.get("classes", 0)
    given = {"shape": shape, "channels": shape[2], "classes": classes if told else 0}
    return {name: value for name, value in given.items() if name in names}


def make_optimizers(experiment: Experiment) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """(of the generator, of the discriminator): `optim` for both; only the generator's weights are averaged."""
    optim, task, steps = experiment.optim, experiment.task, experiment.steps
    turns = task.critic_steps
    gen = dataclasses.replace(optim, lr=task.gen_lr or optim.lr, **_own(optim, "gen"))
    # The discriminator's schedule counts its own updates.
    slower = {"warmup_steps": turns * optim.warmup_steps, "decay_at": tuple(turns * at for at in optim.decay_at)}
    disc = dataclasses.replace(optim, ema=0.0, **_own(optim, "disc"), **slower)
    return optimizers.make_optimizer(gen, steps), optimizers.make_optimizer(disc, turns * steps)


def _own(optim: Optim, name: str) -> dict[str, tuple[str, ...]]:
    """The patterns of `freeze` and `rates` that begin with the network's name, without it."""
    prefix = f"{name}/"
    return {
        part: tuple(pattern.removeprefix(prefix) for pattern in getattr(optim, part) if pattern.startswith(prefix))
        for part in ("freeze", "rates")
    }


def _check(experiment: Experiment) -> None:
    """UserError for what can be seen to be wrong before data are read."""
    task, data, optim = experiment.task, experiment.data, experiment.optim
    if not 0 < task.penalty < math.inf:
        raise UserError(f"task.penalty must be a number above 0, not {task.penalty}")
    if task.gen_lr is not None:
        if not 0 < task.gen_lr < math.inf:
            raise UserError(f"task.gen_lr must be a number above 0, or None for optim.lr, not {task.gen_lr}")
        if optim.final_lr > task.gen_lr:
            raise UserError(f"optim.final_lr must be at most task.gen_lr {task.gen_lr}, not {optim.final_lr}")
    if task.critic_steps > 1 and optim.accumulate > 1:
        raise UserError("optim.accumulate needs task.critic_steps 1: each counts updates of the discriminator")
    for pattern in (*optim.freeze, *optim.rates):
        if not pattern.startswith(tuple(f"{name}/" for name in NETWORKS)):
            raise UserError(f"optim.freeze and optim.rates begin with gen/ or disc/ for a pair, not {pattern!r}")
    if unfit := [name for name in data.augment if name.startswith(UNFIT)]:
        raise UserError(f"data.augment {unfit[0]!r} makes images that are none: the pair would learn to make such")
    parse(data.augment)
    if data.image_size and not any(name.startswith(("crop", "resized_crop")) for name in data.augment):
        _demand_size(experiment, data.image_size, data.image_size, "data.image_size is")


def _sizes(task: Task, model: Any) -> tuple[State, int, int]:
    """(abstract State, trained numbers of the pair, FLOPs of one image made and judged); allocates nothing."""
    abstract = jax.eval_shape(task.init, jax.random.key(0))

    def forward(key: jax.Array) -> Any:
        labels = jnp.zeros((1,), jnp.int32) if model.cfg.classes else None
        return model.init_with_output(key, model.prior(key, 1), labels, train=False)[0]

    params = sum(leaf.size for leaf in jax.tree.leaves(abstract.params))
    return abstract, params, count_flops(forward, jax.random.key(0))


def _passes(critic_steps: int, parts: Setup) -> float:
    """Work of a step for each image of a batch, in forward passes of the pair."""
    examples = {"x": (parts.dataset.shape, jnp.uint8), "y": ((), jnp.int32)}
    batch = {name: jax.ShapeDtypeStruct((critic_steps, *shape), dtype) for name, (shape, dtype) in examples.items()}
    return count_flops(parts.task.step, parts.abstract, batch, jax.random.key(0)) / parts.flops


def _feed(experiment: Experiment, dataset: Dataset, mesh: Mesh | None, reader: Any) -> Feed:
    """A batch of a step holds those of all its updates of the discriminator."""
    data = dataclasses.replace(experiment.data, batch=experiment.task.critic_steps * experiment.data.batch)
    if streams(dataset.train, data):
        return StreamFeed(dataset.train, data, experiment.seed, mesh, reader)
    return DeviceFeed(_resident(dataset.train, data.batch, mesh))


def _resident(split: Split, batch: int, mesh: Mesh | None) -> Resident:
    return Resident(devices.place(split.arrays(), mesh), batch, devices.batch_sharding(mesh))


def _evaluators(
    experiment: Experiment, dataset: Dataset, task: Task, model: Any
) -> Callable[[str, Mesh | None], Evaluator | None]:
    """Of losses and accuracies over a split, and of the distance of made images from it in pixels."""
    operations = parse(experiment.data.augment)

    def seen(images: np.ndarray) -> np.ndarray:
        return for_evaluation(operations, images).astype(np.float32) / 255

    @functools.cache
    def pixels() -> frechet.Pixels:
        return frechet.Pixels(seen(some(dataset.train, frechet.SAMPLE)["x"]))

    def evaluator(name: str, mesh: Mesh | None) -> Evaluator | None:
        split = getattr(dataset, name)
        if not len(split):
            return None
        if streams(split, experiment.data):
            measure = evaluation.streamed(task, split, mesh)
        else:
            measure = evaluation.resident(task, _resident(split, evaluation.batch_size(len(split), mesh), mesh))
        compared = some(split, COMPARED)
        real = frechet.fitted(pixels()(seen(compared["x"])))
        labels = np.resize(compared["y"], COMPARED) if model.cfg.classes else None

        def evaluate(state: State) -> dict[str, float]:
            means = measure(state)
            count = means.pop("count")
            z = samples.latents(model, experiment.seed, COMPARED)
            made = samples.make(model, samples.variables(state), z, labels)
            means["pixel_frechet"] = frechet.frechet_distance(real, frechet.fitted(pixels()(made)))
            return means | {"count": count}

        return evaluate

    return evaluator
