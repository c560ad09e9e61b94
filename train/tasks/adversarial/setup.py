"""Set up an adversarial pair on images: two optimizers, figures that compare generated images with real ones."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import Mesh

import train.data
import zoo
from train.algorithms import optimizers
from train.config import Adversarial, Data, Experiment, Optim
from train.core import State, Task
from train.data.feed import Feed
from train.data.images.augment import Operation, for_evaluation, output_shape, parse
from train.data.inputs import images
from train.data.split import Dataset, some
from train.inference import images as samples
from train.metrics import frechet
from train.metrics.evaluation import Evaluator
from train.pictures.generator import Pictures
from train.tasks.adversarial.check import require_pair, require_size
from train.tasks.adversarial.task import adversarial
from train.tasks.images import evaluators, make_feed
from train.tasks.setup import Setup, Sizes, count_params, make_model, narrow
from zoo.errors import UserError
from zoo.measure import count_flops

COMPARED = 2_000
"""Real and generated images whose pixels are compared at each evaluation."""
NOTE = (
    f"Fréchet distance between Gaussians fitted to up to {COMPARED:,} real images and {COMPARED:,} made ones, in the "
    f"first {frechet.COMPONENTS} principal components of the training images' pixels (0 to 1); lower is better; not FID"
)


def assemble(experiment: Experiment, task: Adversarial, data: Data) -> Setup:
    """Set up a run in which a generator learns to make images."""
    require_pair(experiment.model.name)
    dataset = train.data.load(data)
    operations = parse(data.augment, dataset.shape)
    height, width, channels = output_shape(operations, dataset.shape)
    require_size(experiment, height, width, f"{data.name} has")
    _require_enough(task, data, len(dataset.train))
    model = make_model(experiment, **_given(experiment, task, (height, width, channels), dataset.classes))
    low, high = model.RANGE
    inputs = images(dataset.shape, data.augment, -low / (high - low), 1 / (high - low))

    def build(changed: Experiment) -> Task:
        config = narrow(changed.task, Adversarial)
        gen_tx, disc_tx = make_optimizers(changed)
        return adversarial(model, gen_tx, disc_tx, inputs, config, precision=changed.precision)

    learning = build(experiment)
    cost = _sizes(learning, model)
    if task.loss == "wasserstein" and cost.abstract.vars["disc"]["real"]:
        raise UserError(
            "task.loss=wasserstein penalizes the gradient of each image, and this discriminator's batch normalization "
            "mixes images: choose model.norm=layer"
        )
    of_seed = _evaluators(experiment, dataset, learning, model)
    pictures = Pictures(model, seed=experiment.seed, split=dataset.train, operations=operations)
    return Setup(
        dataset,
        model,
        learning,
        build,
        *cost,
        feed=lambda mesh, reader: _feed(experiment, dataset, mesh, reader),
        evaluator=lambda split, mesh: of_seed(split, mesh, experiment.seed),
        of_seed=of_seed,
        passes=_passes(task.critic_steps, dataset, learning, cost),
        watch=pictures.watch,
        show=pictures.show,
        notes={"pixel_frechet": NOTE},
    )


def _require_enough(task: Adversarial, data: Data, examples: int) -> None:
    """Raise UserError for a step that needs more images than there are."""
    if task.critic_steps * data.batch > examples:
        many = f"data.batch {data.batch}" + f" times task.critic_steps {task.critic_steps}" * (task.critic_steps > 1)
        raise UserError(f"{many} is larger than the {examples} training examples")


def _given(experiment: Experiment, task: Adversarial, shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
    """Fields of the model that follow from the data and the task."""
    names = {field.name for field in dataclasses.fields(zoo.card(experiment.model.name).config)}
    conditional = task.conditional or experiment.model.fields.get("classes", 0)
    given = {"shape": shape, "channels": shape[2], "classes": classes if conditional else 0}
    return {name: value for name, value in given.items() if name in names}


def make_optimizers(experiment: Experiment) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """Build (the generator's optimizer, the discriminator's), both from `optim`.

    Only the generator's weights are averaged. The discriminator's schedule counts its own updates.
    """
    optim, task, steps = experiment.optim, narrow(experiment.task, Adversarial), experiment.steps
    updates = task.critic_steps
    gen = dataclasses.replace(optim, lr=task.gen_lr or optim.lr, **_patterns_of(optim, "gen"))
    disc = dataclasses.replace(
        optim,
        ema=0.0,
        warmup_steps=updates * optim.warmup_steps,
        decay_at=tuple(updates * at for at in optim.decay_at),
        **_patterns_of(optim, "disc"),
    )
    return optimizers.make_optimizer(gen, steps), optimizers.make_optimizer(disc, updates * steps)


def _patterns_of(optim: Optim, network: str) -> dict[str, tuple[str, ...]]:
    """The patterns of `freeze` and `rates` that begin with the network's name, without it."""
    prefix = f"{network}/"
    return {
        field: tuple(pattern.removeprefix(prefix) for pattern in getattr(optim, field) if pattern.startswith(prefix))
        for field in ("freeze", "rates")
    }


def _sizes(task: Task, model: nn.Module) -> Sizes:
    """Measure the pair without allocating anything; the forward pass is of one image, generated and judged."""
    abstract = jax.eval_shape(task.init, jax.random.key(0))

    def forward(key: jax.Array) -> Any:
        labels = jnp.zeros((1,), jnp.int32) if model.cfg.classes else None
        return model.init_with_output(key, model.prior(key, 1), labels, train=False)[0]

    return Sizes(abstract, count_params(abstract), count_flops(forward, jax.random.key(0)))


def _passes(critic_steps: int, dataset: Dataset, task: Task, cost: Sizes) -> float:
    """Cost of a step for each image of a batch, in forward passes of the pair."""
    batch = {
        "x": jax.ShapeDtypeStruct((critic_steps, *dataset.shape), jnp.uint8),
        "y": jax.ShapeDtypeStruct((critic_steps,), jnp.int32),
    }
    return count_flops(task.step, cost.abstract, batch, jax.random.key(0)) / cost.flops


def _feed(experiment: Experiment, dataset: Dataset, mesh: Mesh | None, reader: Any) -> Feed:
    """Feed batches that hold the images of all updates of the discriminator in one step."""
    task, data = narrow(experiment.task, Adversarial), narrow(experiment.data, Data)
    data = dataclasses.replace(data, batch=task.critic_steps * data.batch)
    return make_feed(dataset, data, experiment.seed, mesh, reader)


class _PixelFrechet:
    """Measures the Fréchet distance of generated images from a split, in the pixels of the training images."""

    def __init__(self, dataset: Dataset, operations: tuple[Operation, ...], model: nn.Module) -> None:
        self.dataset, self.operations, self.model = dataset, operations, model

    def on(self, split: Any) -> Callable[[State, int], float]:
        """Return the function that measures a State on some images of `split`, with the latents of a seed."""
        compared = some(split, COMPARED)
        real = frechet.fitted(self._components(self._prepared(compared["x"])))
        labels = np.resize(compared["y"], COMPARED) if self.model.cfg.classes else None

        def distance(state: State, seed: int) -> float:
            z = samples.latents(self.model, seed, COMPARED)
            generated = samples.make(self.model, samples.variables(state), z, labels)
            return frechet.frechet_distance(real, frechet.fitted(self._components(generated)))

        return distance

    def _prepared(self, images: Any) -> Any:
        """Crop images as training crops them, and bring their pixels to 0..1."""
        return for_evaluation(self.operations, images).astype(np.float32) / 255

    @functools.cached_property
    def _components(self) -> frechet.Pixels:
        return frechet.Pixels(self._prepared(some(self.dataset.train, frechet.SAMPLE)["x"]))


def _evaluators(
    experiment: Experiment, dataset: Dataset, task: Task, model: nn.Module
) -> Callable[[str, Mesh | None, int], Evaluator | None]:
    """`Setup.of_seed`: losses and accuracies over a split, and the distance of generated images from it."""
    frechet_on = _PixelFrechet(dataset, parse(narrow(experiment.data, Data).augment), model).on
    means_on = evaluators(experiment, dataset, task)

    @functools.cache
    def of_split(name: str, mesh: Mesh | None) -> tuple[Evaluator, Callable[[State, int], float]] | None:
        """What all seeds share: the split on the device, and the Gaussian of its images."""
        measure = means_on(name, mesh)
        return measure and (measure, frechet_on(getattr(dataset, name)))

    def evaluator(name: str, mesh: Mesh | None, seed: int) -> Evaluator | None:
        shared = of_split(name, mesh)
        if shared is None:
            return None
        measure, pixel_frechet = shared

        def evaluate(state: State) -> dict[str, float]:
            means = measure(state)
            count = means.pop("count")
            return means | {"pixel_frechet": pixel_frechet(state, seed), "count": count}

        return evaluate

    return evaluator
