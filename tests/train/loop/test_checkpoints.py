"""Which checkpoint is the best, which ones are kept, and what happens to one whose bits have changed."""

import dataclasses
import json
import random
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interruption import Interruption
from PIL import Image
from rich.console import Console

import train.loop.run
from train import cli
from train.config import Data, Experiment, Model, Optim
from train.core import State
from train.core.signals import Stopped
from train.loop.checkpoints import Checkpoints, _checksum, checksum, is_as_saved
from train.loop.fit import fit
from train.loop.run import Run
from train.tasks.assemble import assemble
from zoo.errors import UserError
from zoo.weights import checkpoint

QUIET = Console(quiet=True)
EXPERIMENT = Experiment(
    Model("mlp", {"widths": (16,)}), Data("digits", batch=32), Optim("sgd"), steps=12, eval_every_steps=6
)
STATE = State(jnp.int32(1), {"net": {"w": jnp.ones(3)}}, {}, {})


def saved(folder: Path, *scores: float | None) -> Checkpoints:
    """Checkpoints of the steps 0, 1, ... with these scores."""
    checkpoints = Checkpoints(folder)
    for step, score in enumerate(scores):
        checkpoints.save(STATE.replace(step=jnp.int32(step)), step, score)
    checkpoints.wait()
    return checkpoints


def test_arrays_without_numbers_are_saved_and_come_back(tmp_path: Path) -> None:
    """As an environment's State may have; Orbax refuses them, and MinAtar's Asterix left no checkpoint."""
    state = STATE.replace(aux={"none": jnp.zeros((2, 0), jnp.int32), "some": jnp.ones(2)})
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, 1, 0.5)
    checkpoints.wait()
    abstract = jax.eval_shape(lambda: state)
    restored, _ = checkpoints.restore(abstract)
    assert (restored.aux["none"].shape, restored.aux["none"].dtype) == ((2, 0), jnp.int32)
    np.testing.assert_array_equal(restored.aux["some"], state.aux["some"])
    checkpoints.close()


@pytest.mark.parametrize("replicas", [(), (2,)])
def test_moments_of_frozen_parameters_that_older_versions_kept_are_left_out(replicas, tmp_path: Path) -> None:
    def state(*shape: int) -> State:
        count = jnp.zeros(replicas, jnp.int32)
        return STATE.replace(opt={"net": {"count": count, "mu": {"w": jnp.full((*replicas, *shape), 2.0)}}})

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state(8, 4), 1, 0.5)
    checkpoints.wait()
    restored, _ = checkpoints.restore(jax.eval_shape(lambda: state()))
    np.testing.assert_array_equal(restored.opt["net"]["mu"]["w"], np.zeros(replicas))
    np.testing.assert_array_equal(restored.params["net"]["w"], STATE.params["net"]["w"])
    with pytest.raises(UserError, match="opt/net/mu/w is"):
        checkpoints.restore(jax.eval_shape(lambda: state(3)))
    checkpoints.close()


def change_extra(folder: Path, step: int, **values: object) -> None:
    file = folder / str(step) / "extra" / "metadata"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("scores", "best", "kept"),
    [
        ((0.5, 0.9, 0.3), 1, [1, 2]),
        ((0.5, 0.9, 0.9, 0.9), 1, [1, 3]),  # of equal scores the earlier
        ((0.5, None), 0, [0, 1]),  # a checkpoint that was not evaluated is kept while it is the last
        ((0.5, None, 0.4), 0, [0, 2]),
        ((None, 0.1, None), 1, [1, 2]),
        ((0.5, float("nan"), float("inf"), 0.4), 0, [0, 3]),  # a score that is not finite is the worst
        ((float("nan"), 0.5), 1, [1]),
        ((float("nan"), None), 0, [0, 1]),
    ],
)
@pytest.mark.parametrize("reopened", [False, True])
def test_the_last_and_the_best_are_kept(scores, best: int, kept: list[int], reopened: bool, tmp_path) -> None:
    if reopened:
        for step, score in enumerate(scores):
            checkpoints = Checkpoints(tmp_path)
            checkpoints.save(STATE.replace(step=jnp.int32(step)), step, score)
            checkpoints.close()
    else:
        checkpoints = saved(tmp_path, *scores)
    assert checkpoints.steps() == kept
    reader = Checkpoints(tmp_path, read_only=True)
    assert int(reader.restore(STATE, "best")[0].step) == best
    assert int(reader.restore(STATE, "last")[0].step) == len(scores) - 1


def test_a_run_that_was_never_evaluated_has_no_best(tmp_path) -> None:
    saved(tmp_path, None)
    reader = Checkpoints(tmp_path, read_only=True)
    assert int(reader.restore(STATE, "last")[0].step) == 0
    with pytest.raises(UserError, match=r"no checkpoint in .* was evaluated yet: zoo train --resume "):
        reader.restore(STATE, "best")


def test_an_older_run_without_checksums_of_its_scores_is_read(tmp_path) -> None:
    saved(tmp_path, 0.9, 0.9)
    for step in (0, 1):
        file = tmp_path / str(step) / "extra" / "metadata"
        content = json.loads(file.read_text())
        file.write_text(json.dumps({name: content[name] for name in ("score", "checksum", "reader", "tokenizer")}))
    assert int(Checkpoints(tmp_path, read_only=True).restore(STATE, "best")[0].step) == 0
    change_extra(tmp_path, 1, score=float("nan"))
    assert int(Checkpoints(tmp_path, read_only=True).restore(STATE, "best")[0].step) == 0


@pytest.mark.parametrize("values", [{"score": 0.1}, {"score": None}, {"best": 1}, {"checksum": 0}])
def test_a_changed_score_never_makes_another_checkpoint_the_best(values, tmp_path) -> None:
    saved(tmp_path, 0.9, 0.3)
    for step in (0, 1):
        shutil.copytree(tmp_path, tmp_path / "copy", dirs_exist_ok=True)
        change_extra(tmp_path / "copy", step, **values)
        if values == {"best": 1} and step == 0:
            continue
        with pytest.raises(
            UserError, match=rf"copy/{step} is damaged \(.*\): remove that folder to use step {1 - step}"
        ):
            Checkpoints(tmp_path / "copy", read_only=True).restore(STATE, "best")
        shutil.rmtree(tmp_path / "copy")


def test_a_best_that_was_removed_is_said(tmp_path, capsys) -> None:
    saved(tmp_path, 0.9, 0.3)
    shutil.rmtree(tmp_path / "0")
    assert int(Checkpoints(tmp_path, read_only=True).restore(STATE, "best")[0].step) == 1
    assert capsys.readouterr().err == f"zoo: {tmp_path / '0'}, the best, is not there any more: step 1 is read\n"


def test_another_dtype_is_named_and_is_no_damage(tmp_path) -> None:
    saved(tmp_path, 0.9)
    other = STATE.replace(params={"net": {"w": jnp.ones(3, jnp.bfloat16)}})
    with pytest.raises(UserError, match="params/net/w is float32 in the checkpoint, bfloat16 in the config"):
        Checkpoints(tmp_path, read_only=True).restore(other)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "does not fit into memory"),
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied"),
        (KeyError("step"), r"is damaged \(KeyError: 'step'\): start the run again"),
    ],
)
def test_an_error_is_called_what_it_is_and_its_cause_is_kept(error: Exception, line: str, tmp_path) -> None:
    with pytest.raises(UserError, match=line) as found, checkpoint.reading(tmp_path, 3):
        raise error
    assert found.value.__cause__ is error


def test_the_checksum_on_the_host_is_that_of_the_device() -> None:
    rng = np.random.default_rng(0)
    leaves = [
        np.int32(7),
        rng.normal(size=(3, 5)).astype(np.float32),
        rng.normal(size=(1, 2, 3)).astype(jnp.bfloat16),
        rng.random(9) < 0.5,
        np.zeros((0, 4), np.float32),
        rng.integers(0, 255, (checkpoint.BLOCK + 3,), np.uint8),
    ]
    assert checkpoint.checksum([np.asarray(leaf) for leaf in leaves]) == int(checksum(leaves))


def test_the_checksum_sees_both_halves_of_words_of_64_bits(tmp_path) -> None:
    with jax.enable_x64(True):
        state = STATE.replace(params={"net": {"w": jnp.arange(3.0, dtype=jnp.float64)}})
        flipped = state.replace(params={"net": {"w": -state.params["net"]["w"]}})  # the sign is in the high half
        assert int(checksum(flipped)) != int(checksum(state))
        host = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
        assert checkpoint.checksum(host) == int(checksum(state))
        older = int(_checksum(state, whole=False))
        assert older == checkpoint.checksum(host, whole=False)
        assert is_as_saved(state, older)  # an older version took the low half alone
        assert is_as_saved(state, int(checksum(state)))
        assert not is_as_saved(flipped, int(checksum(state)))


def test_a_folder_whose_name_orbax_takes_for_a_pattern_is_refused(tmp_path, capsys) -> None:
    """Its checkpoints could never be read: Orbax does not find the parts that it should join."""
    argv = ["train", "digits_mlp", f"--workdir={tmp_path / 'runs [old]'}"]
    assert cli.run(argv) == 2
    assert "checkpoints cannot be written where a folder has [ and ] in its name" in capsys.readouterr().err
    assert not (tmp_path / "runs [old]").exists()


def test_a_checkpoint_asks_for_no_counters_of_tensorstore(tmp_path, monkeypatch) -> None:
    """They are never freed: 3,000 checkpoints took 57 MB, and take 5 MB without them."""
    asked = []
    monkeypatch.setattr("tensorstore.experimental_collect_matching_metrics", lambda *words: asked.append(words) or [])
    saved(tmp_path, 0.1, 0.2)
    Checkpoints(tmp_path, read_only=True).restore(STATE)
    assert asked == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    run = train.loop.run.create("digits_mlp", EXPERIMENT, tmp_path_factory.mktemp("finished"))
    fit(run, assemble(EXPERIMENT), QUIET)
    return run


@pytest.fixture(scope="module")
def damaged(tmp_path_factory) -> Path:
    """A run of one checkpoint and without a summary, with one flipped bit that changes an array."""
    experiment = dataclasses.replace(EXPERIMENT, eval_every_steps=12)
    path = train.loop.run.create("digits_mlp", experiment, tmp_path_factory.mktemp("damaged")).path
    fit(train.loop.run.load(path), assemble(experiment), QUIET)
    (path / "summary.json").unlink()
    files = {file: file.stat().st_size for file in (path / "checkpoints" / "12" / "state").glob("ocdbt.process_0/d/*")}
    largest, rng = max(files, key=files.get), random.Random(1)
    whole = largest.read_bytes()
    while True:
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        largest.write_bytes(changed)
        try:
            Checkpoints(path / "checkpoints", read_only=True).restore(assemble(EXPERIMENT).abstract)
        except UserError:
            return path


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # reads that TensorStore abandons
@pytest.mark.parametrize(
    "argv",
    ["eval RUN", "train --resume RUN", "compress RUN", "export RUN OUT.safetensors", "predict IMAGE --weights RUN",
     "train digits_mlp --model.widths 16 --init-from RUN --workdir OUT"],
)  # fmt: skip
def test_a_flipped_bit_is_refused_by_every_command(argv: str, damaged: Path, tmp_path, capsys) -> None:
    Image.new("L", (8, 8), 90).save(tmp_path / "image.png")
    there = {"RUN": damaged, "IMAGE": tmp_path / "image.png", "OUT": tmp_path / "out"}
    words = [str(there.get(word, word)).replace("OUT", str(tmp_path / "out")) for word in argv.split()]
    assert cli.run(words) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("zoo: ")]
    assert f"checkpoint {damaged / 'checkpoints' / '12'} is damaged (" in line
    assert not list(tmp_path.glob("out.*"))


def test_a_stop_between_evaluations_leaves_a_checkpoint_without_a_score(finished: Run, tmp_path, monkeypatch) -> None:
    """Stopped after 8 of 12 steps, and after the resume again at 10: neither was evaluated."""
    parts = assemble(EXPERIMENT)
    monkeypatch.setattr("train.loop.schedule.LONGEST_CHUNK", 2)
    run = train.loop.run.create("stopped", EXPERIMENT, tmp_path)
    for looks, step in ((3, 8), (0, 10)):
        with monkeypatch.context() as patch:
            patch.setattr("train.loop.fit.Watch", lambda looks=looks: Interruption(looks))
            with pytest.raises(Stopped, match=f"stopped at step {step}"):
                fit(run, parts, QUIET, resume=step == 10)
        reader = Checkpoints(run.checkpoints, read_only=True)
        assert reader.steps() == [6, step]
        assert reader.restore(parts.abstract, "last")[1].score is None
        assert int(reader.restore(parts.abstract, "best")[0].step) == 6
    fit(run, parts, QUIET, resume=True)
    states = [Checkpoints(each.checkpoints, read_only=True).restore(parts.abstract)[0] for each in (run, finished)]
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_a_kill_at_the_last_checkpoint_leaves_no_older_one_for_good(finished: Run, tmp_path) -> None:
    """Killed when the last checkpoint was written, the one before not yet removed, and the test split measured."""
    path = shutil.copytree(finished.path, tmp_path / "digits_mlp" / "killed")
    (path / "summary.json").unlink()
    shutil.copytree(path / "checkpoints" / "12", path / "checkpoints" / "9")
    run = train.loop.run.load(path)
    fit(run, assemble(EXPERIMENT), QUIET, resume=True)
    assert "9" not in [file.name for file in run.checkpoints.iterdir()]

    def lines(each: Run) -> list[dict[str, object]]:
        return [line | {"seconds": 0} for line in train.loop.run.read_metrics(each.path)]

    assert lines(run) == lines(finished)
    before, after = (train.loop.run.read_summary(each.path) for each in (finished, run))
    assert (before.test, before.validation) == (after.test, after.validation)
