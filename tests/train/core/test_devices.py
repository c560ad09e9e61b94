"""One run on eight devices of one process, or on two processes, has the losses of the same run on one device."""

import dataclasses
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

import train.loop.fit
import train.loop.run
from train import cli
from train.config import Contrast, Data, Experiment, Model, Optim
from train.core import State, devices
from train.core.signals import Stopped, Watch
from train.loop.checkpoints import Checkpoints
from train.loop.chunks import Chunk, ChunkRunner
from train.tasks.assemble import assemble
from zoo.errors import UserError

ROOT = Path(__file__).parents[3]
EXPERIMENTS = {
    "mlp": Experiment(
        model=Model("mlp", {"widths": (32,), "dropout": 0.1}),
        data=Data("digits", batch=32, augment=("shift_1",)),
        optim=Optim("adam", lr=3e-3),
        steps=12,
        eval_every_steps=6,
    ),
    "resnet20": Experiment(
        model=Model("resnet20", {"widths": (8, 8, 16)}),
        data=Data("digits", batch=32),
        optim=Optim("momentum", lr=0.05),
        steps=6,
        eval_every_steps=3,
    ),
    "simclr_resnet20": Experiment(  # others of an image are those on all devices
        model=Model("simclr_resnet20", {"fields": {"depths": (1,), "widths": (16,)}, "widths": (16, 8)}),
        data=Data("digits", batch=32, augment=("shift_1", "cutout_3")),
        optim=Optim("sgd", lr=0.1),
        task=Contrast(temperature=0.2),
        steps=4,
        eval_every_steps=2,
    ),
}
CASES = (
    ("mlp", "data"),
    ("mlp", "fsdp"),
    ("resnet20", "fsdp"),
    ("simclr_resnet20", "data"),
)  # model, how it is sharded
COMMAND = ["digits_mlp", "--steps=12", "--eval-every-steps=4", "--optim.warmup-steps=2", "--model.dropout=0.1"]


def train_step_by_step(name: str, experiment: Experiment, workdir: Path, *, stop: bool = False) -> train.loop.run.Run:
    """A finished run, in metrics.jsonl the loss of every single step; `stop`: interrupted half-way and resumed."""
    run = train.loop.run.create(name, experiment, workdir)
    parts, quiet = assemble(experiment), Console(quiet=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.loop.schedule.LONGEST_CHUNK", 1)
        if stop:
            advance, signals = ChunkRunner.advance, Watch()

            def interrupted(chunks: ChunkRunner, state: State, step: int, *args: Any) -> Chunk:
                signals.received = signal.SIGTERM if step == experiment.steps // 2 else None
                return advance(chunks, state, step, *args)

            patch.setattr("train.loop.fit.Watch", lambda: signals)
            patch.setattr(ChunkRunner, "advance", interrupted)
            with pytest.raises(Stopped):
                train.loop.fit.fit(run, parts, quiet)
            patch.setattr(ChunkRunner, "advance", advance)
            patch.setattr("train.loop.fit.Watch", Watch)
        train.loop.fit.fit(run, parts, quiet, resume=stop)
    return run


def on_eight_devices(workdir: Path) -> None:
    """The runs and facts that the tests below compare; called in a process that has eight devices."""
    facts, save = {}, Checkpoints.save

    def watched(checkpoints: Checkpoints, state: State, *args: Any) -> None:
        leaves = jax.tree.leaves(state.params)
        held = sum(leaf.addressable_shards[0].data.nbytes for leaf in leaves)
        facts[checkpoints.folder.parent.parent.name] = held / sum(leaf.nbytes for leaf in leaves)
        save(checkpoints, state, *args)

    Checkpoints.save = watched
    for name, shard in CASES:
        experiment = dataclasses.replace(EXPERIMENTS[name], shard=shard)
        train_step_by_step(f"{name}_{shard}", experiment, workdir, stop=shard == "fsdp")
    try:
        devices.make_mesh(36)
    except UserError as error:
        facts["a batch of 36"] = str(error)
    (workdir / "facts.json").write_text(json.dumps(facts))


def losses(folder: Path) -> np.ndarray:
    """Those of every step, every validation and the test."""
    [config] = folder.glob("*/config.json")
    lines = train.loop.run.read_metrics(config.parent)
    return np.array(
        [line["loss"] for split in ("train", "validation", "test") for line in lines if line["split"] == split]
    )


# On fewer cores than devices two collectives of XLA:CPU can wait for one another until it aborts after 40 s, now and
# then and whatever the program; a test that may fail without a fault does not belong in the everyday suite, nor in CI.
def on_eight(test: Callable) -> Callable:
    """Mark a test on eight devices."""
    return pytest.mark.processor(pytest.mark.slow(test))


@pytest.fixture(scope="module")
def eight(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("eight")
    script = "import sys; from test_devices import *; on_eight_devices(Path(sys.argv[1]))"
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", script, workdir], cwd=Path(__file__).parent, env=environment, check=True)
    return workdir


@on_eight
@pytest.mark.parametrize(("name", "shard"), CASES)
def test_eight_devices_have_the_losses_of_one(name: str, shard: str, eight: Path, tmp_path) -> None:
    """With fsdp the run on eight devices was also stopped and resumed half-way."""
    train_step_by_step(name, EXPERIMENTS[name], tmp_path)
    alone, together = losses(tmp_path / name), losses(eight / f"{name}_{shard}")
    assert len(alone) == EXPERIMENTS[name].steps + 3
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@on_eight
def test_fsdp_cuts_the_parameters_and_data_copies_them(eight: Path) -> None:
    share = json.loads((eight / "facts.json").read_text())
    assert share["mlp_data"] == 1
    for name in ("mlp_fsdp", "resnet20_fsdp"):
        assert 1 / 8 <= share[name] < 0.2  # a bias of 10 numbers cannot be cut in eight


@on_eight
def test_a_batch_that_does_not_divide_among_the_devices_is_one_line(eight: Path) -> None:
    facts = json.loads((eight / "facts.json").read_text())
    assert facts["a batch of 36"] == "data.batch 36 does not divide among 8 devices: take a multiple of 8"


@on_eight
def test_a_run_of_eight_devices_can_be_measured_on_one(eight: Path, capsys) -> None:
    assert cli.run(["eval", str(eight / "mlp_fsdp")]) == 0
    assert f"{losses(eight / 'mlp_fsdp')[-1]:.4f}" in capsys.readouterr().out


def test_only_training_needs_a_batch_that_divides_among_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert devices.make_mesh() is not None
    with pytest.raises(UserError, match="batch 12 does not divide among 8 devices"):
        devices.make_mesh(12)


@pytest.mark.processor
@pytest.mark.slow
def test_a_run_is_measured_on_devices_that_do_not_divide_its_batch(tmp_path: Path, capsys) -> None:
    experiment = dataclasses.replace(EXPERIMENTS["mlp"], data=Data("digits", batch=31), steps=2, eval_every_steps=2)
    run = train.loop.run.create("odd", experiment, tmp_path)
    train.loop.fit.fit(run, assemble(experiment), Console(quiet=True))
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(
        [sys.executable, "-m", "train", "eval", str(run.path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert f"{losses(tmp_path / 'odd')[-1]:.4f}" in found.stdout


def test_nt_xent_has_the_others_of_all_devices() -> None:
    """A batch cut in two: value and gradient are those of the whole, and not of two halves on their own."""
    script = """
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from train.core import devices
from train.algorithms.losses import nt_xent

first, second = jax.random.normal(jax.random.key(0), (2, 8, 4))
cut = NamedSharding(devices.make_mesh(8), PartitionSpec(devices.AXIS))

def loss(a, b):
    return nt_xent(a, b, 0.2)[0].mean()

both = jax.jit(jax.value_and_grad(loss, (0, 1)))
whole, together = both(first, second), both(*(jax.device_put(z, cut) for z in (first, second)))
assert len(together[1][0].sharding.device_set) == 2
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), whole, together)
halves = [loss(first[i : i + 4], second[i : i + 4]) for i in (0, 4)]
assert abs(np.mean(halves) - whole[0]) > 0.1
"""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)


def task_of_slurm(process: int, port: int) -> dict[str, str]:
    """Return the environment of one of two tasks on this machine. JAX computes the port from the number of the job."""
    job = str(port - (65535 - 2**12 + 1))
    return {
        "SLURM_JOB_ID": job,
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(process),
        "SLURM_LOCALID": str(process),
        "SLURM_STEP_NUM_NODES": "1",
    }


def in_two_processes(
    command: Sequence[str], folder: Path, port: int, *, slurm: bool = False, seconds: int = 120
) -> list[tuple[str, str]]:
    """Run `zoo COMMAND` in two processes that train together, each with a folder of its own, and fail if one fails.

    Return (stdout, stderr) of each.
    """
    processes = []
    for process in (0, 1):
        line = [
            *command,
            f"--workdir={folder / f'process{process}'}",
            *([] if slurm else [f"--coordinator=127.0.0.1:{port}", "--processes=2", f"--process={process}"]),
        ]
        environment = os.environ | (task_of_slurm(process, port) if slurm else {})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        program = [sys.executable, "-m", "train", *line]
        processes.append(subprocess.Popen(program, cwd=ROOT, env=environment, text=True, **pipes))
    outputs = [process.communicate(timeout=seconds) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return outputs


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], np.ndarray]:
    """Return the losses of a command of one process, which is run once."""

    @functools.cache
    def of(command: str) -> np.ndarray:
        workdir = tmp_path_factory.mktemp("alone")
        assert cli.run([*command.split(), f"--workdir={workdir}"]) == 0
        return losses(workdir / "digits_mlp")

    return of


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["device", "stream", "slurm"])
def test_two_processes_have_the_losses_of_one(placement: str, alone: Callable, tmp_path) -> None:
    slurm = placement == "slurm"
    command = ["train", *COMMAND, f"--data.placement={'device' if slurm else placement}", "--data.workers=0"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 65535 - os.getpid() % 4096 if slurm else 0))
        port = probe.getsockname()[1]
    outputs = in_two_processes(command, tmp_path, port, slurm=slurm)
    errors = [err.removeprefix("zoo train: starting JAX\n") for _, err in outputs]  # which a slow start prints
    assert errors == ["", ""]
    assert "test accuracy" in outputs[0][0]
    assert "test accuracy" not in outputs[1][0]
    assert [path.name for path in tmp_path.iterdir()] == ["process0"]
    expected = alone(" ".join(command))
    assert len(expected) == 3 + 3 + 1
    np.testing.assert_allclose(losses(tmp_path / "process0" / "digits_mlp"), expected, rtol=1e-5)


SHORT = "--steps=2 --eval-every-steps=2 --data.batch=8 --optim.warmup-steps=0"
WAYS_OF_LEARNING = {
    "python_docs_gpt_char_mini": ("--data.length=16 --model.width=16 --model.heads=2 --model.depth=1", "samples.txt"),
    "dates_seq2seq_attention": ("--model.width=8 --model.embed=8 --model.align=8 --model.maxout=8", "test.tsv"),
    "python_docs_bert_tiny": ("--data.length=16", ""),
    "python_docs_topic_bert_tiny": ("--data.length=16", ""),
    "digits_simclr": ("", "features.png"),
    "digits_gan": ("", "samples.png"),
    "digits_vit": ("", "attention.png"),
    "cartpole_dqn": ("--task.replay=200 --task.replay-start=40 --task.eval-episodes=4", "episode.png"),
}
"""A config of each way of learning: options that make it small, and something that the first process draws."""
TRIED = WAYS_OF_LEARNING if os.environ.get("EVERY") == "1" else ("python_docs_bert_tiny", "digits_gan", "cartpole_dqn")


@pytest.mark.slow
@pytest.mark.parametrize("config", TRIED)
def test_two_processes_finish_every_way_of_learning(config: str, tmp_path) -> None:
    """The first process sampled and drew with sharded programs alone, and the other left before it was done."""
    options, drawn = WAYS_OF_LEARNING[config]
    command = ["train", config, *SHORT.split(), *options.split(), "--shard=fsdp"]
    in_two_processes(command, tmp_path, free_port(), seconds=600)
    [run] = (tmp_path / "process0" / config).iterdir()
    assert (run / "summary.json").is_file()
    assert not drawn or (run / "samples" / drawn).is_file()


@pytest.mark.slow
def test_two_processes_start_from_another_run(tmp_path) -> None:
    small = ["--steps=2", "--eval-every-steps=2", "--optim.warmup-steps=0"]
    assert cli.run(["train", "digits_mlp", *small, f"--workdir={tmp_path / 'first'}"]) == 0
    [first] = (tmp_path / "first" / "digits_mlp").iterdir()
    command = ["train", "digits_mlp", *small, "--shard=fsdp", f"--init-from={first}"]
    outputs = in_two_processes(command, tmp_path, free_port(), seconds=600)
    assert "init_from: took" in outputs[0][0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--coordinator=127.0.0.1:1", "--processes=2", "--process=2"],
            "--process must be 0 to 1 with --processes 2, not 2",
        ),
        (["--coordinator=127.0.0.1:1", "--processes=0"], "--processes must be at least 1, not 0"),
        (["--coordinator=localhost"], "--coordinator must be HOST:PORT, not 'localhost'"),
        (["--processes=2"], "--processes and --process need --coordinator HOST:PORT"),
    ],
)
def test_processes_that_cannot_be_are_one_line(options: list[str], line: str, tmp_path, capsys) -> None:
    assert cli.run(["train", *COMMAND, f"--workdir={tmp_path}", *options]) == 2
    assert capsys.readouterr().err == f"zoo: {line}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("variables", "launcher"),
    [
        ({"PMI_RANK": "1", "PMI_SIZE": "4"}, "MPI"),
        ({"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "4"}, "Kubernetes"),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}, "Open MPI"),
    ],
)
def test_a_task_that_would_train_alone_is_told_so(variables, launcher, tmp_path, capsys, monkeypatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cli.run(["train", *COMMAND, f"--workdir={tmp_path}"]) == 2
    line = f"this is task 1 of the 4 of a {launcher} job, and each would train alone: give --coordinator HOST:PORT "
    assert line in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
