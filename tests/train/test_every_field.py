"""Every field of every way of learning is given bad values, made from the schema: it is a line, or a program that fits.

Nothing is listed by hand: a field that is new is tried as soon as it is in the schema.
"""

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import jax
import pytest

import train.loop.fit
from train import cli
from train.config import files
from train.config.data import of_name
from train.config.fields import Field, fields_of, words
from train.core import devices
from train.loop.replicas import make_replica_set

CONFIGS = {
    "digits_mlp": "",  # with all fields; the others with those that digits_mlp does not have
    "digits_mlp --data.name scenes": "",
    "digits_vit": "model.",
    "digits_resnet20": "model.",
    "digits_simclr": "",
    "digits_gan": "",
    "digits_dcgan_conditional": "model.",
    "cartpole_dqn": "",
    "python_docs_gpt_char_mini": "",
    "python_docs_bert_tiny": "",
    "dates_transformer": "",
    "dates_seq2seq_attention": "model.",
}
SHALLOW = {
    "digits_vit": {"depth": 1},
    "digits_resnet20": {"depths": (1, 1, 1)},
    "digits_simclr": {"fields": {"depths": (1,), "widths": (8,)}},
    "python_docs_gpt_char_mini": {"depth": 1},
    "python_docs_bert_tiny": {"depth": 1},
    "dates_transformer": {"depth": 1},
}
"""One block where a config has several that are alike: tracing them takes most of the time of these tests."""
SMALL = """
from train.config import files, override

SMOKE = override(files.load({name!r}), files.load({name!r}).smoke)
CONFIG = override(SMOKE, {{"model": {{"fields": {fields!r}}}}})
"""
SAID = r"zoo: [^\n]+\n|zoo: (\d+) errors:\n(  [^\n]+\n)+"  # a line, or one for each of several errors
LEFT_ALONE = ("init_from", "data.name", "data.tokenizer", "model.name")  # names of things outside of the schema


class Fits(Exception):
    """The run could begin: its step can be traced."""


def trace(run: Any, setup: Any, *_: Any, **__: Any) -> None:
    """Trace a step and an evaluation in place of training."""
    replicas = make_replica_set(run.experiment, setup.task, setup.build)
    several = len(replicas.members) > 1  # the state of a single one is known
    abstract = jax.eval_shape(replicas.init, replicas.key) if several else setup.abstract
    source = setup.feed(devices.make_mesh(run.experiment.data.batch), None).take(1)
    jax.eval_shape(lambda state, key: replicas_step(replicas, state, source, key), abstract, replicas.key)
    setup.measures("validation", None, replicas.members)
    raise Fits


def replicas_step(replicas: Any, state: Any, source: Any, key: Any) -> Any:
    if hasattr(replicas, "task"):
        return train.core.chunk(replicas.task, state, source, key, 1)
    return train.core.chunks.replicate(replicas.tasks, replicas.settings, state, source, key, 1)


def bad_values(field: Field) -> Iterator[Any]:
    """Yield values of the right type that are at the edge of what makes sense, or beyond it."""
    kinds = get_args(field.hint) if get_origin(field.hint) in (Union, UnionType) else (field.hint,)
    for kind in kinds:
        if kind is int:
            yield from (-1, 0, 7)
        elif kind is float:
            yield from (-1.0, 0.0, 1.0, 1e30, math.nan, math.inf)
        elif kind is str or get_origin(kind) is Literal:
            yield "nosuch"
        elif get_origin(kind) is tuple:
            inside = get_args(kind)
            for first, second in ((-1, -1), (0, 0), (7, 3)):
                if inside[0] in (int, float):
                    yield (inside[0](first),) if inside[-1] is ... else tuple(inside[0](n) for n in (first, second))
            if inside[0] is str:
                yield ("nosuch",)


def bad_options(config: str, file: Path) -> Iterator[list[str]]:
    """Yield the option of each bad value of the small config in `file`."""
    _, *given = config.split()
    experiment, prefix = files.load(str(file)), CONFIGS[config]
    if given:  # another set of images than the config's
        experiment = dataclasses.replace(experiment, data=of_name(experiment.data, given[-1]))
    known = fields_of(files.load("digits_mlp")) if config != "digits_mlp" else {}
    for field in fields_of(experiment).values():
        own = field.name not in known or (not given and field.name.startswith("model."))
        if field.name.startswith(prefix) and field.name not in LEFT_ALONE and own:
            for value in bad_values(field):
                yield words(field, value)


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
def test_a_bad_value_is_a_line_or_fits(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train.loop.fit, "fit", trace)
    name, *given = config.split()
    file = tmp_path / "small.py"  # because each option of a command that is wrong is read once more by itself
    file.write_text(SMALL.format(name=name, fields=SHALLOW.get(name, {})), encoding="utf-8")
    wrong, count = [], 0
    for option in bad_options(config, file):
        command = ["train", file.name, *given, *option]
        count += 1
        try:
            code = cli.run(command)
        except Fits:
            capsys.readouterr()
            continue
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}"[:200] + f" <- zoo {' '.join(command)}")
            capsys.readouterr()
            continue
        said = capsys.readouterr().err
        if code != 2 or not re.fullmatch(SAID, said):
            wrong.append(f"exit code {code}, {said!r} <- zoo {' '.join(command)}")
    assert count >= 10
    assert not wrong, "\n".join([f"{len(wrong)} of {count}:", *wrong])
