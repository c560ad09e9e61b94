"""The command `zoo`. Each subcommand imports what it needs when it is called, so that help and lists come at once."""

import contextlib
import importlib
import sys
from collections.abc import Sequence

from train.core import startup
from train.core.signals import Stopped
from zoo.errors import UserError, unknown

USAGE = """\
zoo: the executable history of deep learning

  zoo list [PATTERN]        the models by year: paper, parameters, FLOPs, input
  zoo list --optimizers     the update rules by year (also --losses, --activations)
  zoo show NAME             one of these: its card, and of a model a table of its layers
  zoo configs [PATTERN]     the runs that come with the project
  zoo train CONFIG          train; CONFIG is one of those names or a Python file
  zoo train --resume RUN    go on with a run that stopped
  zoo eval RUN              measure a trained run on validation and test
  zoo extract RUN NUMBER    take one replica out of a run of several (zoo train CONFIG --seeds 8)
  zoo ensemble RUN RUN ...  average the probabilities of classifiers, or of the replicas of one run
  zoo search CONFIG         let the machine choose: zoo search digits_mlp --space optim.lr=log:1e-4..1e-1
  zoo search --resume DIR   go on with a search, or share it from another process
  zoo compress RUN          a trained network with fewer numbers: truncated SVD of its matrices, and what it costs
  zoo probe RUN             what the features of a trained network are worth: linear classifier, nearest neighbours
  zoo sample RUN            continue a text with a trained language model, or make images with a trained generator
  zoo translate RUN TEXT    translate with a trained encoder-decoder
  zoo fill RUN TEXT         guess what stands at each [MASK] of a text
  zoo judge RUN             measure the images that a trained generator makes
  zoo play RUN              let a trained agent play; its returns and a film
  zoo export RUN OUT        weights for another library, or the model as StableHLO
  zoo convert IN OUT        published weights from one layout to another
  zoo predict IMAGE|TEXT    what weights (--weights FILE) say of an image or a text
  zoo claim NAME            run what a paper claims, with error bars and a verdict (zoo claim --list, --all)
  zoo timeline [RUN ...]    train the line of image classifiers on digits and write the page of all landmarks
  zoo exhibit RUN           keep what a run came to for that page: figures, curves, pictures, texts
  zoo bench [MODEL ...]     milliseconds a step, compile time, memory; --decode: tokens a second
  zoo data                  which data sets are there and how to get others
  zoo data prepare NAME     download and prepare a TFDS set, without TensorFlow where possible

`zoo COMMAND --help` shows every option. Bad input is one line and exit code 2."""


COMMANDS = {
    "list": "train.commands.list:list_command",
    "show": "train.commands.show:show_command",
    "configs": "train.commands.configs:configs_command",
    "train": "train.commands.train:train_command",
    "eval": "train.commands.eval:eval_command",
    "extract": "train.commands.extract:extract_command",
    "ensemble": "train.commands.ensemble:ensemble_command",
    "search": "train.commands.search:search_command",
    "compress": "train.commands.compress:compress_command",
    "probe": "train.commands.probe:probe_command",
    "sample": "train.commands.sample:sample_command",
    "translate": "train.commands.translate:translate_command",
    "fill": "train.commands.fill:fill_command",
    "judge": "train.commands.judge:judge_command",
    "play": "train.commands.play:play_command",
    "export": "train.commands.export:export_command",
    "convert": "train.commands.export:convert_command",
    "predict": "train.commands.predict:predict_command",
    "claim": "train.commands.claim:claim_command",
    "timeline": "train.commands.timeline:timeline_command",
    "exhibit": "train.commands.exhibit:exhibit_command",
    "bench": "train.commands.bench:bench_command",
    "data": "train.commands.data:data_command",
}
"""Name -> the module and function to import when the command is called."""

QUICK = ("list", "show", "configs", "data")
"""Commands that compute nothing."""

EXTRAS = {"optuna": "search"}
"""Library -> the extra that brings it, of those that a command needs as a whole."""


def _call(name: str, args: Sequence[str]) -> None:
    module, _, attribute = COMMANDS[name].partition(":")
    try:
        getattr(importlib.import_module(module), attribute)(args)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        raise UserError(f"zoo {name} needs {error.name}: pip install 'zoo-timeline[{extra}]'") from None


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exits with 0, 2 for bad input, 1 for a run that diverged, 128 + signal for one stopped."""
    words = sys.argv[1:] if argv is None else argv
    quick = not words or words[0] in QUICK or words[0] not in COMMANDS
    with contextlib.nullcontext() if quick else startup.announced(words[0]):
        code = run(words)
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """`main` without the exit: the exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    try:
        if argv[0] not in COMMANDS:
            raise unknown("command", argv[0], COMMANDS)
        _call(argv[0], argv[1:])
    except UserError as error:
        return _say(error, 2)
    except Stopped as error:
        return _say(error, error.code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `zoo list | head`
        sys.stderr.close()
    return 0


def _say(error: Exception, code: int) -> int:
    print(f"zoo: {error}", file=sys.stderr)
    return code
