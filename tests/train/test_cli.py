"""The command `zoo`: bad input is one line, signals save, help is complete."""

import dataclasses
import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from cases import slow_except

import train.loop.run
from train import cli
from train.config import Data, Experiment, Optim
from train.loop.checkpoints import Checkpoints
from train.tasks.assemble import assemble

ROOT = Path(__file__).parents[2]
BAD_INPUT = [
    ("tran digits_mlp", "unknown command 'tran': did you mean train or range or translate"),
    ("show resnet51", "unknown model or algorithm 'resnet51': did you mean resnet56 or resnet50"),
    ("show", "usage: zoo show NAME"),
    ("list zzz", "unknown model 'zzz': there are"),
    ("list --jsn", "usage: zoo list [PATTERN] [--json]"),
    ("configs zzz*", "unknown config 'zzz*'"),
    ("data prepare", "usage: zoo data, or zoo data prepare NAME"),
    ("data clean --yess", "unknown option --yess: usage: zoo data clean [NAME …] [--yes]"),
    ("data clean nosuch", "holds nothing of nosuch: zoo data clean lists what is there"),
    ("data prepare nosuch", "unknown TFDS data set 'nosuch'"),
    ("eval", "zoo eval needs a RUN first"),
    ("eval nowhere", "no run folder at nowhere"),
    ("eval nowhere --checkpoint worst", "unknown checkpoint 'worst': choose from best, last"),
    ("timeline --frsh", "Unrecognized options: --frsh: did you mean --fresh"),
    ("train --resume", "zoo train --resume needs a RUN first"),
    ("train --resume nowhere", "no run folder at nowhere"),
    ("train --resume nowhere --steps 3", "no run folder at nowhere"),
    ("train --resume nowhere --optim.lr 3", "--optim.lr: a resumed run keeps its config, but for --steps and --data"),
    ("train --resume nowhere --stps 3", "Unrecognized options: --stps, 3: did you mean --steps?"),
    ("train --steps 5 digits_mlp", "the config comes first: zoo train CONFIG --steps 5 digits_mlp"),
    ("train digits_mpl", "unknown config 'digits_mpl': did you mean digits_mlp"),
    ("train no/such.py", "no config file at no/such.py"),
    ("train digits_mlp stray", "Unrecognized options: stray"),
    ("train digits_mlp --model.name rsnet50", "unknown model 'rsnet50': did you mean resnet50"),
    ("train digits_mlp --model.name", "--model.name needs a value"),
    ("train digits_mlp --model.patch 2", "Unrecognized options: --model.patch, 2"),
    ("train digits_mlp --model.widths 3 x", "--model.widths"),
    ("train digits_mlp --model.widths -3", "mlp: widths must be a tuple of positive integers, not (-3,)"),
    ("train digits_mlp --model.dropout 2", "mlp: dropout must be at least 0 and below 1, not 2.0"),
    ("train digits_mlp --model.activation swash", "unknown model.activation 'swash': did you mean swish?"),
    ("train digits_mlp --model.classes 12", "model.classes is 12, but digits needs 10"),
    ("train digits_vit --model.patch 3", "vit: patch 3 does not divide 8x8 pixels"),
    ("train digits_lenet5 --data.image-size 8", "lenet5 needs images of at least 16x16 pixels, not 8x8"),
    ("train digits_mlp --data.name minst", "unknown data set 'minst': did you mean mnist"),
    ("train digits_mlp --data.name mnist", "mnist is not prepared in "),
    ("train digits_mlp --data.name folder:nowhere", "folder:nowhere: there is no such folder"),
    ("train digits_mlp --data.batch 100000", "data.batch 100000 is larger than the 1295 training examples"),
    ("train digits_mlp --data.batch 0", "data.batch must be at least 1, not 0"),
    ("train digits_mlp --data.image-size -2", "data.image_size must be at least 1, not -2"),
    ("train digits_mlp --data.validation 1.5", "data.validation must be at least 0 and below 1, not 1.5"),
    ("train digits_mlp --data.augment wobble", "unknown data.augment 'wobble': choose from "),
    ("train digits_mlp --data.augment cutout_-3", "cutout needs a whole number of pixels above 0"),
    ("train digits_mlp --data.augment pad_crop_99", "must be smaller than the image"),
    ("train digits_mlp --optim.nam adam", "Unrecognized options: --optim.nam, adam: did you mean --optim.name"),
    ("train digits_mlp --optim.name adma", "unknown optim.name 'adma': did you mean adam or adamw"),
    ("train digits_mlp --optim.schedule polynomial", "unknown optim.schedule 'polynomial'"),
    ("train digits_mlp --optim.lr fast", "--optim.lr must be a number, not 'fast'"),
    ("train digits_mlp --optim.lr -1", "optim.lr must be a number above 0, not -1.0"),
    ("train digits_mlp --optim.lr nan", "optim.lr must be a number above 0, not nan"),
    ("train digits_mlp --optim.lr", "--optim.lr needs a value"),
    ("train digits_mlp --optim.ema 1.5", "optim.ema must be from 0 to below 1, not 1.5"),
    ("train digits_mlp --optim.accumulate 0", "optim.accumulate must be a whole number from 1 up, not 0"),
    ("train digits_mlp --optim.clip-norm -1", "optim.clip_norm must be a number above 0"),
    ("train digits_mlp --optim.warmup-steps 5000", "optim.warmup_steps must be below the 1200 steps of the run"),
    ("train digits_mlp --steps ten", "--steps must be a whole number, not 'ten'"),
    ("train digits_mlp --patience 1.5", "--patience must be a whole number or None, not '1.5'"),
    ("train digits_mlp --optim.b1 x", "--optim.b1 must be a number or None, not 'x'"),
    ("train digits_mlp --steps 1.5", "--steps must be a whole number, not '1.5'"),
    ("train digits_mlp --steps 0", "steps must be at least 1, not 0"),
    ("train digits_mlp --steps -5", "steps must be at least 1, not -5"),
    ("train digits_mlp --eval-every-steps 0", "eval_every_steps must be at least 1, not 0"),
    ("train digits_mlp --model.name gpt2", "gpt2 cannot classify images; models that can: perceptron, mlp, "),
    ("train digits_mlp --init-from nowhere", "init_from: no run folder at nowhere"),
    ("train python_docs_lstm_char --data.name digits", "digits contains images, not running text"),
    ("train digits_mlp --data.name python_docs", "python_docs contains text, not images"),
    ("train dates_transformer --data.name dates/en-koo", "unknown language in dates/en-koo 'koo': did you mean ko"),
    ("train dates_transformer --data.name tsv:nowhere", "nowhere"),
    ("train python_docs_lstm_char --data.tokenizer chars", "'chars': did you mean char?"),
    ("train python_docs_lstm_char --model.name mlp", "mlp cannot do the task 'language' on text; models that can: "),
    ("sample nowhere", "no run folder at nowhere"),
    ("translate nowhere", "give one text, or --file FILE"),
    ("fill nowhere x", "no run folder at nowhere"),
    ("train digits_mlp --task.label-smoothing 1", "task.label_smoothing must be at least 0 and below 1, not 1.0"),
    ("train digits_mlp --precision float16", "unknown precision 'float16': did you mean bfloat16 or float32?"),
    ("train digits_mlp --seed -1", "seed must not be negative, not -1"),
    ("train digits_mlp --seed 99999999999", "seed must be below 2^32, not 99999999999"),
    ("bench nosuch", "unknown model 'nosuch'"),
]


@pytest.mark.parametrize(("command", "expected"), BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(command: str, expected: str, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    assert cli.run(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"zoo: [^\n]+\n", err)
    assert expected in err
    assert not list(tmp_path.iterdir())


def test_the_line_is_the_same_where_the_output_is_not_utf8(capsys, monkeypatch) -> None:
    """The library that parses options draws boxes around its errors, of other characters then."""
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert cli.run(["timeline", "--frsh"]) == 2
    assert capsys.readouterr().err == "zoo: Unrecognized options: --frsh: did you mean --fresh or --no-fresh?\n"


def test_help_of_a_config_shows_every_field_with_its_description(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert cli.run(["train", "digits_vit", "--help"]) == 0
    text = capsys.readouterr().out
    for prefix, schema in (("", Experiment), ("data.", Data), ("optim.", Optim)):
        for field in dataclasses.fields(schema):
            if field.name not in ("model", "data", "optim", "smoke"):
                assert f"--{prefix}{field.name.replace('_', '-')}" in text
    for words in (
        "Training steps: one batch each",
        "Peak learning rate",
        "Examples per step",
        "WORKDIR/<config>/<time>",
    ):
        assert words in text
    for option in ("--model.patch INT", "--model.width INT", "--model.depth INT"):
        _, _, after = text.partition(option)
        assert len(after.splitlines()[1].strip("│ ")) > 10  # says what it is


@pytest.mark.parametrize("argv", [[], ["--help"], ["list", "--help"], ["data", "-h"], ["train", "--help"], ["train"]])
def test_help_is_no_error(argv: list[str], capsys) -> None:
    assert cli.run(argv) == 0
    out, err = capsys.readouterr()
    assert "zoo" in out
    assert err == ""


def test_usage_names_every_command(capsys) -> None:
    cli.run([])
    assert set(re.findall(r"^  zoo (\w+)", capsys.readouterr().out, re.MULTILINE)) == set(cli.COMMANDS)


def test_a_reader_that_stops_early_sees_no_error() -> None:
    script = f"set -o pipefail; {sys.executable} -m train list | head -n 1"
    result = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 1


RUN = ["digits_mlp", "--model.widths=32", "--steps=1500", "--eval-every-steps=150"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[np.ndarray]:
    """The final State, leaf by leaf, of a run that nobody interrupts."""
    workdir = tmp_path_factory.mktemp("whole")
    assert cli.run(["train", *RUN, f"--workdir={workdir}"]) == 0
    return final_leaves(workdir)


def final_leaves(workdir: Path) -> list[np.ndarray]:
    run = train.loop.run.load(workdir / "digits_mlp")
    state, _ = Checkpoints(run.checkpoints, read_only=True).restore(assemble(run.experiment).abstract)
    assert int(state.step) == run.experiment.steps
    return jax.tree.leaves(state)


@pytest.mark.parametrize("number", slow_except([signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]))
def test_a_signal_saves_and_the_rest_has_the_same_bits(number: int, whole: list[np.ndarray], tmp_path, capsys) -> None:
    command = [sys.executable, "-m", "train", "train", *RUN, f"--workdir={tmp_path}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not any(file.stat().st_size for file in tmp_path.glob("*/*/metrics.jsonl")):
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 128 + number
    assert all(re.match(r"digits_mlp: (step [\d,]+|run folder )", line) for line in out.splitlines()), out
    last = err.splitlines()[-1]  # a slow machine prints first that JAX is starting
    line = re.fullmatch(r"zoo: stopped at step (\d+); resume it with: zoo (train --resume (\S+))", last)
    assert 0 < int(line[1]) < 1500
    assert Path(line[3]).parent == tmp_path / "digits_mlp"
    assert cli.run(line[2].split()) == 0
    for left, right in zip(whole, final_leaves(tmp_path), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.slow
def test_three_kills_leave_no_trace() -> None:
    result = subprocess.run(
        [sys.executable, "tests/kill_resume.py", "--times=3", "--steps=1200"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("killed after") == 3
    assert "21 of 21 arrays" in result.stdout
