"""The command `zoo`. Each subcommand imports what it needs when it is called, so that help and lists come at once."""

import sys
from collections.abc import Sequence

from train.interrupt import Stopped
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
  zoo timeline              train the line of image classifiers on digits and write the page
  zoo bench [MODEL ...]     milliseconds a step, compile time, memory
  zoo data                  which data sets are there and how to get others
  zoo data prepare NAME     download and prepare a TFDS set, without TensorFlow where possible

`zoo COMMAND --help` shows every option. Bad input is one line and exit code 2."""


HELP = {
    "list": 'usage: zoo list [PATTERN] [--json] | --optimizers | --losses | --activations, such as zoo list "vit*"',
    "show": "usage: zoo show NAME, for example zoo show resnet50 or zoo show adam",
    "configs": 'usage: zoo configs [PATTERN], for example zoo configs "mnist*"',
    "data": "usage: zoo data, or zoo data prepare NAME, for example zoo data prepare mnist",
}
"""Of the commands that have no options to explain."""


def _list(args: Sequence[str]) -> None:
    from train import show

    options = [arg for arg in args if arg.startswith("-")]
    patterns = [arg for arg in args if not arg.startswith("-")]
    if not patterns and options in (["--optimizers"], ["--losses"], ["--activations"]):
        return show.emit(show.list_algorithms(options[0].removeprefix("--")))
    if options not in ([], ["--json"]) or len(patterns) > 1:
        raise UserError(HELP["list"])
    if options:
        print(show.list_models_json(*patterns))
    else:
        show.emit(show.list_models(*patterns))


def _show(args: Sequence[str]) -> None:
    from train import show

    if len(args) != 1 or args[0].startswith("-"):
        raise UserError(HELP["show"])
    show.emit(show.show(args[0]))


def _configs(args: Sequence[str]) -> None:
    from fnmatch import fnmatchcase

    from train import configs

    if len(args) > 1 or any(arg.startswith("-") for arg in args):
        raise UserError(HELP["configs"])
    names = [name for name in configs.names() if fnmatchcase(name, args[0] if args else "*")]
    if not names:
        raise unknown("config", args[0], configs.names())
    for name in names:
        print(f"{name:<{max(map(len, names))}}  {configs.description(name)}")


def _data(args: Sequence[str]) -> None:
    from rich.console import Console

    from train.data import command

    if not args:
        command.show(Console())
    elif args[0] == "prepare" and len(args) == 2 and not args[1].startswith("-"):
        command.prepare(args[1], None, Console())
    else:
        raise UserError(HELP["data"])


def _train(args: Sequence[str]) -> None:
    from train import commands

    commands.train_command(args)


def _eval(args: Sequence[str]) -> None:
    from train import commands

    commands.eval_command(args)


def _extract(args: Sequence[str]) -> None:
    from train import extract

    extract.extract_command(args)


def _search(args: Sequence[str]) -> None:
    try:
        from train.search import command
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UserError("zoo search needs Optuna: pip install 'zoo-timeline[search]'") from None

    command.search_command(args)


def _compress(args: Sequence[str]) -> None:
    from train.compress import command

    command.compress_command(args)


def _probe(args: Sequence[str]) -> None:
    from train import probe

    probe.probe_command(args)


def _sample(args: Sequence[str]) -> None:
    from train import sampling

    sampling.sample_command(args)


def _translate(args: Sequence[str]) -> None:
    from train import text_commands

    text_commands.translate_command(args)


def _fill(args: Sequence[str]) -> None:
    from train import text_commands

    text_commands.fill_command(args)


def _judge(args: Sequence[str]) -> None:
    from train.judge import command

    command.judge_command(args)


def _play(args: Sequence[str]) -> None:
    from train import play_command

    play_command.play_command(args)


def _export(args: Sequence[str]) -> None:
    from train import export

    export.export_command(args)


def _convert(args: Sequence[str]) -> None:
    from train import export

    export.convert_command(args)


def _predict(args: Sequence[str]) -> None:
    from train import predict

    predict.predict_command(args)


def _timeline(args: Sequence[str]) -> None:
    from train import commands

    commands.timeline_command(args)


def _bench(args: Sequence[str]) -> None:
    from train import bench

    bench.main(args)


COMMANDS = {
    "list": _list,
    "show": _show,
    "configs": _configs,
    "train": _train,
    "eval": _eval,
    "extract": _extract,
    "search": _search,
    "compress": _compress,
    "probe": _probe,
    "sample": _sample,
    "translate": _translate,
    "fill": _fill,
    "judge": _judge,
    "play": _play,
    "export": _export,
    "convert": _convert,
    "predict": _predict,
    "timeline": _timeline,
    "bench": _bench,
    "data": _data,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exits with 0, 2 for bad input, 1 for a run that diverged, 128 + signal for one stopped."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """`main` without the exit: the exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    try:
        if argv[0] not in COMMANDS:
            raise unknown("command", argv[0], COMMANDS)
        if argv[0] in HELP and argv[1:] in (["-h"], ["--help"]):
            print(HELP[argv[0]])
            return 0
        COMMANDS[argv[0]](argv[1:])
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
