"""The command `zoo`. Each subcommand imports what it needs when it is called, so that help and lists come at once."""

import contextlib
import importlib
import sys
import time
from collections.abc import Sequence

from train.core import startup
from train.core.signals import Stopped
from zoo.errors import UserError, note, unknown

USAGE = """\
zoo: the executable history of deep learning

  zoo list [PATTERN]        list the models by year: paper, parameters, FLOPs, input
  zoo list --optimizers     list the optimizers by year (also --losses, --activations)
  zoo list --pretrained     list the weights that can be had by name: size, figure, licence, where they come from
  zoo show NAME             show the card of a model or algorithm, and a model's layers; or weights by name
  zoo configs [PATTERN]     list the configs that come with the project
  zoo train CONFIG          train a config: one of those names, or a Python file
  zoo train --resume RUN    resume a run that was stopped
  zoo range CONFIG          learning-rate range test: the loss while the rate rises
  zoo eval RUN              evaluate a run on validation and test
  zoo extract RUN NUMBER    take one replica out of a run of several (zoo train CONFIG --seeds 8)
  zoo compare RUN RUN ...   compare runs: figures, curves (--picture FILE), what differs in their configs
  zoo ensemble RUN RUN ...  average the probabilities of classifiers, or of the replicas of one run
  zoo search CONFIG         search hyperparameters: zoo search digits_mlp --space optim.lr=log:1e-4..1e-1
  zoo search --resume DIR   resume a search, or join it from another process
  zoo compress RUN          compress a network by truncated SVD of its weights, and measure the cost
  zoo probe RUN             judge the features of a network: linear classifier, nearest neighbors
  zoo sample RUN            generate text with a language model, or images with a generator
  zoo translate RUN TEXT    translate with a trained encoder-decoder
  zoo fill RUN TEXT         predict the token at each [MASK] of a text
  zoo judge RUN             evaluate the images of a generator
  zoo play RUN              let an agent play: its returns and a film
  zoo export RUN OUT        export the weights for another library, or the model as StableHLO or ONNX
  zoo export RUN --to hf://owner/name  upload the weights with a model card
  zoo convert IN OUT        convert published weights from one layout to another
  zoo predict IMAGE|TEXT    predict with weights (--weights NAME|RUN|FILE); a folder: zoo predict FOLDER --out FILE.csv
  zoo weights fetch NAME …  get weights by name once (--to DIR: for others, who read it with ZOO_WEIGHTS=DIR)
  zoo weights verify        compare the weights that are here with their hashes
  zoo claim NAME            test a paper's claim: error bars and a verdict (zoo claim --list, --all)
  zoo grid NAME             train every net with every recipe, and say what goes with which (zoo grid --list)
  zoo timeline [RUN ...]    train the line of image classifiers on scenes, and write the page of all landmarks
  zoo exhibit RUN           save a run's results for that page: figures, curves, pictures, texts
  zoo bench [MODEL ...]     measure milliseconds a step, compile time, memory (--peers: PyTorch's; --decode: tokens)
  zoo data                  list the data sets that are here, and how to get others
  zoo data prepare NAME     download and prepare a TFDS set, without TensorFlow where possible
  zoo data show NAME        examples of a data set: a labelled sheet of images, or a table of texts
  zoo data export scenes --to DIR  write scenes, composed from real digits, as pictures, with tables and a datasheet
  zoo data clean [NAME ...] list what the cache of decoded data holds; --yes removes it

`zoo COMMAND --help` shows every option. Bad input is one line and exit code 2."""


COMMANDS = {
    "list": "train.commands.list:list_command",
    "show": "train.commands.show:show_command",
    "configs": "train.commands.configs:configs_command",
    "train": "train.commands.train:train_command",
    "range": "train.commands.range:range_command",
    "eval": "train.commands.eval:eval_command",
    "extract": "train.commands.extract:extract_command",
    "compare": "train.commands.compare:compare_command",
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
    "weights": "train.commands.weights:weights_command",
    "claim": "train.commands.claim:claim_command",
    "grid": "train.commands.grid:grid_command",
    "timeline": "train.commands.timeline:timeline_command",
    "exhibit": "train.commands.exhibit:exhibit_command",
    "bench": "train.commands.bench:bench_command",
    "data": "train.commands.data:data_command",
}
"""Name -> the module and function to import when the command is called."""

_BEGAN = time.perf_counter()

QUICK = ("list", "show", "configs", "data", "weights")
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
    startup.begin(_BEGAN)
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
    note(error)
    return code
