"""Adversarial pairs on images: two optimizers, figures that compare made images with real ones, pictures."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

import train.data
import zoo
from train import devices, evaluation, optimizers, samples
from train.assemble.parts import Parts, demand_able, make_model
from train.assemble.pictures import Pictures
from train.config import Experiment, Optim
from train.core import State, Task
from train.data.augment import for_evaluation, output_shape, parse
from train.data.device import Resident
from train.data.feed import DeviceFeed, Feed, StreamFeed, streams
from train.data.split import Dataset, Split, some
from train.evaluation import Evaluator
from train.judge import frechet
from train.tasks.adversarial import NETWORKS, adversarial
from train.tasks.inputs import images
from zoo.errors import UserError
from zoo.measure import count_flops

COMPARED = 2_000
"""Images, real and made, of which the pixels are compared at each evaluation."""
UNFIT = ("mixup", "cutmix", "cutout")  # augmentations after which an image is no longer one that could be real
NOTE = (
    f"Fréchet distance between Gaussians fitted to up to {COMPARED:,} real images and {COMPARED:,} made ones, in the "
    f"first {frechet.COMPONENTS} principal components of the training images' pixels (0 to 1); lower is better; not FID"
)


def assemble(experiment: Experiment) -> Parts:
    """The parts of a run in which a pair learns to make images."""
    demand_able(experiment.model.name, is_pair, "make images from noise")
    task, data = experiment.task, experiment.data
    operations = parse(data.augment)
    if unfit := [name for name in data.augment if name.startswith(UNFIT)]:
        raise UserError(f"data.augment {unfit[0]!r} makes images that are none: the pair would learn to make such")
    if data.image_size and not any(name.startswith(("crop", "resized_crop")) for name in data.augment):
        _demand_size(experiment, data.image_size, data.image_size, "data.image_size is")
    dataset = train.data.load(data)
    height, width, channels = output_shape(operations, dataset.shape)
    _demand_size(experiment, height, width, f"{data.name} has")
    if task.critic_steps * data.batch > len(dataset.train):
        many = f"data.batch {data.batch}" + f" times task.critic_steps {task.critic_steps}" * (task.critic_steps > 1)
        raise UserError(f"{many} is larger than the {len(dataset.train)} training examples")
    model = make_model(experiment, **_given(experiment, (height, width, channels), dataset.classes))
    low, high = model.RANGE
    inputs = images(dataset.shape, data.augment, -low / (high - low), 1 / (high - low))
    made = adversarial(
        model,
        *_optimizers(experiment),
        inputs,
        loss=task.loss,
        critic_steps=task.critic_steps,
        penalty=task.penalty,
        precision=experiment.precision,
    )
    parts = Parts(
        dataset,
        model,
        made,
        *_sizes(experiment, made, model, dataset),
        feed=lambda mesh, reader: _feed(experiment, dataset, mesh, reader),
        evaluator=lambda split, mesh: _evaluator(experiment, dataset, made, model, split, mesh),
        best="-pixel_frechet",
        notes={"pixel_frechet": NOTE},
    )
    if task.loss == "wasserstein" and parts.abstract.vars["disc"]:
        raise UserError(
            "task.loss=wasserstein penalizes the gradient of each image, and this discriminator's batch normalization "
            "mixes images: choose model.norm=layer"
        )
    pictures = Pictures(model, seed=experiment.seed, split=dataset.train, operations=operations)
    passes = _passes(experiment, parts)
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


def _optimizers(experiment: Experiment) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """(of the generator, of the discriminator): `optim` for both; only the generator's weights are averaged."""
    optim, task, steps = experiment.optim, experiment.task, experiment.steps
    turns = task.critic_steps
    if turns > 1 and optim.accumulate > 1:
        raise UserError("optim.accumulate needs task.critic_steps 1: each counts updates of the discriminator")
    for pattern in (*optim.freeze, *optim.rates):
        if not pattern.startswith(tuple(f"{name}/" for name in NETWORKS)):
            raise UserError(f"optim.freeze and optim.rates begin with gen/ or disc/ for a pair, not {pattern!r}")

    def own(name: str) -> dict[str, Any]:
        keep = {part: tuple(p for p in getattr(optim, part) if p.startswith(f"{name}/")) for part in PATTERNS}
        return {part: tuple(p.removeprefix(f"{name}/") for p in patterns) for part, patterns in keep.items()}

    gen = dataclasses.replace(optim, lr=task.gen_lr or optim.lr, **own("gen"))
    # The discriminator's schedule counts its own updates.
    slower = {"warmup_steps": turns * optim.warmup_steps, "decay_at": tuple(turns * at for at in optim.decay_at)}
    disc = dataclasses.replace(optim, ema=0.0, **own("disc"), **slower)
    optimizers.validate(gen, steps)
    return optimizers.make_optimizer(gen, steps), optimizers.make_optimizer(disc, turns * steps)


PATTERNS = ("freeze", "rates")


def _sizes(experiment: Experiment, task: Task, model: Any, dataset: Dataset) -> tuple[State, int, int]:
    """(abstract State, trained numbers of the pair, FLOPs of one image made and judged)."""
    del experiment, dataset
    abstract = jax.eval_shape(task.init, jax.random.key(0))
    params = sum(leaf.size for leaf in jax.tree.leaves(abstract.params))

    def forward(key: jax.Array) -> Any:
        labels = jnp.zeros((1,), jnp.int32) if model.cfg.classes else None
        return model.init_with_output(key, model.prior(key, 1), labels, train=False)[0]

    return abstract, params, count_flops(forward, jax.random.key(0))


def _passes(experiment: Experiment, parts: Parts) -> float:
    """Work of a step for each image of a batch, in forward passes of the pair."""
    count = experiment.task.critic_steps * 1
    batch = {
        "x": jax.ShapeDtypeStruct((count, *parts.dataset.shape), jnp.uint8),
        "y": jax.ShapeDtypeStruct((count,), jnp.int32),
    }
    return count_flops(parts.task.step, parts.abstract, batch, jax.random.key(0)) / parts.flops


def _feed(experiment: Experiment, dataset: Dataset, mesh: Mesh | None, reader: Any) -> Feed:
    """A batch of a step holds those of all its updates of the discriminator."""
    data = dataclasses.replace(experiment.data, batch=experiment.task.critic_steps * experiment.data.batch)
    if streams(dataset.train, data):
        return StreamFeed(dataset.train, data, experiment.seed, mesh, reader)
    return DeviceFeed(_resident(dataset.train, data.batch, mesh))


def _resident(split: Split, batch: int, mesh: Mesh | None) -> Resident:
    return Resident(devices.place(split.arrays(), mesh), batch, devices.batch_sharding(mesh))


def _evaluator(
    experiment: Experiment, dataset: Dataset, task: Task, model: Any, name: str, mesh: Mesh | None
) -> Evaluator | None:
    """Losses and accuracies over a split, and the distance of made images from it in pixels."""
    split, operations = getattr(dataset, name), parse(experiment.data.augment)
    if not len(split):
        return None
    if streams(split, experiment.data):
        measure = evaluation.streamed(task, split, mesh)
    else:
        measure = evaluation.resident(task, _resident(split, evaluation.batch_size(len(split), mesh), mesh))

    def seen(split: Split, count: int) -> np.ndarray:
        return for_evaluation(operations, some(split, count)["x"]).astype(np.float32) / 255

    pixels = frechet.Pixels(seen(dataset.train, frechet.SAMPLE))
    batch = some(split, COMPARED)
    labels = batch["y"] if model.cfg.classes else None
    real = frechet.fitted(pixels(for_evaluation(operations, batch["x"]).astype(np.float32) / 255))
    if labels is not None:
        labels = np.resize(labels, COMPARED)

    def evaluate(state: State) -> dict[str, float]:
        means = measure(state)
        count = means.pop("count")
        made = samples.make(model, samples.variables(state), samples.latents(model, experiment.seed, COMPARED), labels)
        means["pixel_frechet"] = frechet.frechet_distance(real, frechet.fitted(pixels(made)))
        return means | {"count": count}

    return evaluate
