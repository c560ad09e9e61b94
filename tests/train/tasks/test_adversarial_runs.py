"""Runs of pairs from end to end on digits: resume to the bit, pictures, `zoo sample`, and one line for bad input."""

import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import train.loop.fit
import train.loop.run
import zoo
from train import cli
from train.config import Adversarial, Data, Experiment, Model, Optim
from train.core import State
from train.inference import images as samples
from train.loop.checkpoints import Checkpoints
from train.loop.chunks import ChunkRunner
from train.loop.fit import fit
from train.loop.run import Run
from train.pictures import grids
from train.tasks.assemble import assemble

QUIET = Console(quiet=True)
EXPERIMENT = Experiment(
    model=Model("dcgan_28", {"base": 2, "widths": (8, 4), "latent": 6}),
    data=Data("digits", batch=16, augment=("shift_1",)),
    task=Adversarial(conditional=True, gen_lr=2e-2),
    optim=Optim("adam", lr=1e-2, b1=0.5, ema=0.5),
    steps=30,
    eval_every_steps=10,
)


@pytest.fixture(scope="module")
def parts():
    return assemble(EXPERIMENT)


@pytest.fixture(scope="module")
def whole(parts, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = train.loop.run.create("whole", EXPERIMENT, tmp_path_factory.mktemp("runs"))
    fit(run, parts, QUIET)
    return run


def restored(run: Run, parts) -> State:
    return Checkpoints(run.checkpoints, read_only=True).restore(parts.abstract)[0]


def test_a_run_logs_both_networks_and_keeps_the_checkpoint_nearest_in_pixels(whole: Run, parts) -> None:
    lines = train.loop.run.read_metrics(whole.path)
    wanted = {"disc_loss", "gen_loss", "real_accuracy", "fake_accuracy"}
    assert all(wanted <= line.keys() for line in lines)
    assert all({"disc_gradient_norm", "gen_gradient_norm"} <= line.keys() for line in lines if line["split"] == "train")
    distances = {line["step"]: line["pixel_frechet"] for line in lines if line["split"] == "validation"}
    assert list(distances) == [10, 20, 30]
    best, _ = Checkpoints(whole.checkpoints, read_only=True).restore(parts.abstract, "best")
    assert int(best.step) == min(distances, key=distances.get)
    summary = train.loop.run.read_summary(whole.path)
    assert summary.params == sum(p.size for p in jax.tree.leaves(parts.abstract.params))
    assert "not FID" in summary.notes["pixel_frechet"]
    assert summary.flops == parts.flops


def test_size_and_work_of_a_pair_are_those_on_its_card() -> None:
    card = zoo.card("gan")
    experiment = Experiment(Model("gan", {"shape": (8, 8, 1)}), Data("digits", batch=16), task=Adversarial())
    made = assemble(experiment)
    pixels = 28 * 28 - 8 * 8  # fewer, each with the weights of 1200 units and of 5 · 240 linear functions
    assert made.params == card.params - pixels * (1200 + 1 + 1200)
    assert made.flops == card.flops - 2 * pixels * (1200 + 1200)
    gen, disc = [100 * 1200, 1200 * 1200, 1200 * 64], [64 * 1200, 240 * 1200, 240]  # products of a pass, by layer
    # Two passes of the generator and one back; three of the discriminator, of which two back to its weights, but not to
    # its images, and one to its images alone.
    work = 4 * sum(gen) - gen[0] + 8 * sum(disc) - 2 * disc[0]
    assert made.passes == pytest.approx(work / (sum(gen) + sum(disc)))


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits(whole: Run, parts, tmp_path: Path) -> None:
    program = "import sys; from test_adversarial_runs import train_slowly; train_slowly(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=Path(__file__).parent)
    end = time.monotonic() + 240
    while not (found := list(tmp_path.glob("killed/*/checkpoints/10"))):
        assert process.poll() is None, "the run ended before it wrote a checkpoint"
        assert time.monotonic() < end, "the run hung before it wrote a checkpoint"
        time.sleep(0.02)
    process.kill()
    process.wait()
    run = train.loop.run.load(found[0].parents[1])
    assert not train.loop.run.read_summary(run.path)
    fit(run, parts, QUIET, resume=True)
    jax.tree.map(np.testing.assert_array_equal, restored(whole, parts), restored(run, parts))
    for name in ("step_0000010", "step_0000030", "growth", "samples", "interpolation", "nearest"):
        pictures = [grids.read(each.samples / f"{name}.png") for each in (whole, run)]
        np.testing.assert_array_equal(*pictures, err_msg=name)


def train_slowly(workdir: str) -> None:
    """A run of EXPERIMENT that waits before each chunk, so that it can be killed half-way."""
    advance = ChunkRunner.advance

    def slowly(self, *args):
        time.sleep(0.5)
        return advance(self, *args)

    ChunkRunner.advance = slowly
    fit(train.loop.run.create("killed", EXPERIMENT, Path(workdir)), assemble(EXPERIMENT), QUIET)


def test_growth_is_the_same_latents_at_every_evaluation(whole: Run, parts) -> None:
    grown = grids.tiles(grids.read(whole.samples / "growth.png"), (8, 8, 1), 24, 8)
    for row, step in enumerate((10, 20, 30)):
        sheet = grids.tiles(grids.read(whole.samples / f"step_{step:07}.png"), (8, 8, 1), 64, 8)
        np.testing.assert_array_equal(grown[8 * row : 8 * row + 8], sheet[:8])
    state = restored(whole, parts)
    z = samples.latents(parts.model, EXPERIMENT.seed, 64)
    by_hand = samples.make(parts.model, samples.variables(state), z, samples.labels(parts.model, 64))
    np.testing.assert_array_equal(samples.bytes_of(by_hand), sheet)


@pytest.mark.parametrize(("count", "columns", "channels"), [(5, 3, 1), (4, 4, 3), (1, 2, 1)])
def test_a_grid_holds_its_images(count: int, columns: int, channels: int, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 6, channels)).astype(np.uint8)
    file = tmp_path / "grid.png"
    grids.write(grids.grid(images, columns), file)
    np.testing.assert_array_equal(grids.tiles(grids.read(file), (8, 6, channels), count, columns), images)
    with pytest.raises(ValueError, match="does not hold"):
        grids.tiles(grids.read(file), (9, 6, channels), count, columns)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


@pytest.mark.parametrize("name", ["gan", "dcgan_28"])
def test_a_way_between_latents_stays_among_them(name: str) -> None:
    model = zoo.create(name)
    ends = model.prior(jax.random.key(3), 4)
    way = samples.between(model, ends, 5)
    assert way.shape == (3, 5, 100)
    np.testing.assert_allclose(way[:, 0], ends[:-1], atol=1e-5)
    np.testing.assert_allclose(way[:, -1], ends[1:], atol=1e-5)
    if name == "gan":
        lengths = jnp.linalg.norm(way, axis=-1)
        assert lengths.min() > 0.95 * jnp.linalg.norm(ends, axis=-1).min()
    else:
        np.testing.assert_allclose(way[:, 2], (ends[:-1] + ends[1:]) / 2, atol=1e-6)


def sample(whole: Run, *options: str) -> int:
    return cli.run(["sample", str(whole.path), *options])


def test_sample_makes_as_many_images_as_asked_and_replaces_nothing(whole: Run, tmp_path: Path, capsys) -> None:
    out = tmp_path / "made.png"
    assert sample(whole, "--n", "12", "--columns", "4", "--seed", "3", "--out", str(out)) == 0
    assert capsys.readouterr().out == f"{out}\n"
    first = grids.tiles(grids.read(out), (8, 8, 1), 12, 4)
    assert len(np.unique(first, axis=0)) > 10
    assert sample(whole, "--n", "12", "--out", str(out)) == 2
    assert "is there already: --overwrite replaces it" in capsys.readouterr().err
    assert (
        sample(whole, "--n", "12", "--columns", "4", "--label", "7", "--seed", "3", "--out", str(out), "--overwrite")
        == 0
    )
    other = grids.tiles(grids.read(out), (8, 8, 1), 12, 4)
    assert [np.array_equal(*pair) for pair in zip(first, other, strict=True)] == [i == 7 for i in range(12)]
    assert sample(whole, "--n", "2") == sample(whole, "--n", "2") == 0
    one, two = map(Path, capsys.readouterr().out.split()[-2:])
    assert one != two
    assert one.parent == two.parent == whole.samples
    np.testing.assert_array_equal(grids.read(one), grids.read(two))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--n 0", "--n must be at least 1 and at most 10,000, not 0"),
        ("--columns 0", "--columns must be at least 1"),
        ("--label 10", "--label must be 0 to 9, not 10"),
        ("--seed -1", "--seed must be at least 0 and below 2^32, not -1"),
        ("--out picture.jpg", "--out must end in .png, not 'picture.jpg'"),
        ("--out no/such/folder.png", "--out: there is no folder no/such"),
        ("--prompt hello", "Unrecognized options: --prompt, hello"),
    ],
)
def test_bad_samples_are_one_line(options: str, expected: str, whole: Run, capsys) -> None:
    before = sorted(whole.samples.iterdir())
    assert sample(whole, *options.split()) == 2
    assert expected in capsys.readouterr().err
    assert sorted(whole.samples.iterdir()) == before


BAD_INPUT = [
    ("digits_gan --model.name dcgan_28", "dcgan_28 makes images of 28x28, and digits has 8x8: set data.image_size=28"),
    ("digits_gan --model.name dcgan_28 --data.image-size 30", "makes images of 28x28, and data.image_size is 30"),
    (
        "digits_gan --model.name dcgan --data.image-size 64 --model.channels 4",
        "model.channels is 4, but digits needs 1",
    ),
    ("digits_gan --model.classes 7", "model.classes is 7, but digits needs 10"),
    ("digits_gan --model.name mlp", "mlp cannot make images from noise; models that can: gan, dcgan"),
    ("digits_gan --data.name python_docs", "python_docs contains text, not images"),
    ("digits_gan --data.augment mixup_1", "'mixup_1' makes images that are none"),
    ("digits_gan --data.batch 1296", "data.batch 1296 is larger than the 1295 training examples"),
    ("digits_gan --task.critic-steps 0", "task.critic_steps must be at least 1, not 0"),
    ("digits_gan --task.critic-steps 30", "data.batch 64 times task.critic_steps 30 is larger than the 1295"),
    ("digits_gan --task.critic-steps 2 --optim.accumulate 2", "optim.accumulate needs task.critic_steps 1"),
    ("digits_gan --task.penalty 0", "task.penalty must be a number above 0, not 0.0"),
    ("digits_gan --task.gen-lr 0", "task.gen_lr must be a number above 0, or None for optim.lr, not 0.0"),
    ("digits_gan --task.loss hing", "unknown task.loss 'hing': did you mean hinge?"),
    ("digits_gan --optim.freeze hidden0/*", "optim.freeze and optim.rates begin with gen/ or disc/ for a pair"),
    (
        "digits_gan --model.name dcgan_28 --model.base 2 --task.loss wasserstein",
        "batch normalization mixes images: choose model.norm=layer",
    ),
    ("digits_mlp --model.name gan", "gan cannot classify images"),
]


@pytest.mark.parametrize(("command", "expected"), BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(command: str, expected: str, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["train", *command.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zoo: ")
    assert err.count("\n") == 1
    assert expected in err
    assert not list(tmp_path.iterdir())
