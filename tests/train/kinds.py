"""The kinds of runs, each as small as it gets, the commands that are tried on each of them, and which of them answer.

`python tests/train/kinds.py` prints the table in CONTRIBUTING.md.
"""

SHORT = "--steps 2 --eval-every-steps 1 --optim.warmup-steps 0 --optim.schedule constant"
BLOCK = "--model.width 8 --model.depth 1 --model.heads 1"
MLP = f"digits_mlp {SHORT} --model.widths 8 --data.batch 6"
TEXT = f"{SHORT} {BLOCK} --data.length 16 --data.batch 6"
SEQ2SEQ = "--model.embed 8 --model.width 8 --model.align 8 --model.maxout 8 --data.batch 6"
GAN = "--model.latent 4 --model.widths 8 --model.units 8 --model.pieces 2 --data.batch 6"
AGENT = f"{SHORT} --model.hidden 8 --data.batch 6 --data.environments 6 --data.time-limit 20 --task.replay 48"
AGENT += " --task.replay-start 24 --task.eval-episodes 6 --task.train-every 6"
SIMCLR = "--model.fields.depths 1 --model.fields.widths 8 --model.widths 8 4 --data.batch 6"

KINDS = {
    "images": MLP,
    "streamed images": f"{MLP} --data.placement stream --data.workers 0",
    "scenes": f"{MLP} --data.name scenes --data.images 48",
    "new scenes": f"{MLP} --data.name scenes --data.images None",
    "images in bfloat16": f"{MLP} --precision bfloat16",
    "convolutions": f"digits_resnet20 {SHORT} --model.depths 1 --model.widths 8 --data.batch 6",
    "masks": f"scenes_unet {SHORT} --model.width 4 --data.images 48 --data.size 16 --data.batch 6",
    "folds": f"{MLP} --folds 2",
    "seeds": f"{MLP} --seeds 2",
    "sweep": f"{MLP} --sweep optim.lr=1e-3,1e-2",
    "language": f"python_docs_gpt_char_mini {TEXT} --optim.final-lr 0",
    "language in bfloat16": f"python_docs_gpt_char_mini {TEXT} --optim.final-lr 0 --precision bfloat16",
    "translation": f"dates_transformer {SHORT} {BLOCK} --model.hidden 8 --data.batch 6",
    "recurrent translation": f"dates_seq2seq_attention {SHORT} {SEQ2SEQ}",
    "masked": f"python_docs_bert_tiny {TEXT}",
    "sentences": f"python_docs_topic_bert_tiny {TEXT}",
    "pair": f"digits_gan {SHORT} {GAN}",
    "conditional pair": f"digits_dcgan_conditional {SHORT} --model.latent 4 --model.widths 8 4 --data.batch 6",
    "agent": f"cartpole_dqn {AGENT}",
    "Atari agent": f"atari_pong_dqn {AGENT}",
    "contrast": f"digits_simclr {SHORT} {SIMCLR}",
}
"""Each kind of run and the words behind `zoo train` that make one. A batch divides among one, two and three devices."""

SEVERAL = ("folds", "seeds", "sweep")
CLASSIFIERS = ("images", "streamed images", "scenes", "new scenes", "images in bfloat16", "convolutions")
LANGUAGE = ("language", "language in bfloat16")
TRANSLATORS = ("translation", "recurrent translation")
BERTS = ("masked", "sentences")
PAIRS = ("pair", "conditional pair")
AGENTS = ("agent", "Atari agent")
WITH_A_LAYOUT = ("convolutions", "masked", "sentences", *AGENTS)
"""Kinds whose networks here have the shape that another library's layout needs."""


def but(*left_out: str) -> tuple[str, ...]:
    """All kinds but these."""
    return tuple(kind for kind in KINDS if kind not in left_out)


SINGLE = but(*SEVERAL, *PAIRS)  # one network, alone

COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "eval": ("eval RUN", but()),
    "eval, best": ("eval RUN --checkpoint best", but()),
    "resume": ("train --resume STOPPED", but()),
    "longer run": ("train --resume COPY --steps 3", but()),
    "start from a run": ("train CONFIG --init-from RUN --workdir HERE/started", but("folds", "sweep")),
    "predict": ("predict INPUT --weights RUN", (*CLASSIFIERS, "masks", *LANGUAGE, *BERTS)),
    "sample": ("sample RUN --n 2", (*LANGUAGE, *PAIRS)),
    "translate": ("translate RUN 2020-01-02", TRANSLATORS),
    "fill": ("fill RUN [MASK]", ("masked",)),
    "probe": ("probe RUN", ("convolutions", "contrast")),
    "judge": ("judge RUN --samples 100 --by parzen", PAIRS),
    "play": ("play RUN --episodes 1 --out HERE/play.gif", AGENTS),
    "ensemble": ("ensemble RUN COPY", (*CLASSIFIERS, *SEVERAL, "sentences")),
    "compress": ("compress RUN --rank 1 --out HERE/compressed", but(*SEVERAL, *PAIRS, *AGENTS)),
    "export, safetensors": ("export RUN HERE/run.safetensors", SINGLE),
    "export, npz": ("export RUN HERE/run.npz", SINGLE),
    "export, folder": ("export RUN HERE/folder", SINGLE),
    "export, published": ("export RUN HERE/published.safetensors --layout PUBLISHED", WITH_A_LAYOUT),
    "export, StableHLO": ("export RUN HERE/run.stablehlo", SINGLE),
    "predict, loaded back": ("predict INPUT --weights HERE/folder", (*CLASSIFIERS, "masks", *LANGUAGE, *BERTS)),
    "start from an export": ("train CONFIG --init-from HERE/run.safetensors --workdir HERE/started", SINGLE),
    "extract": ("extract RUN 1 --workdir HERE/extracted", SEVERAL),
    "exhibit": ("exhibit RUN --into HERE/shown", but()),
    "compare": ("compare RUN COPY --picture HERE/curves.png", but()),
    "search": (
        "search CONFIG --space optim.lr=log:1e-4..1e-2 --trials 1 --folder HERE/searched",
        but("folds", "sweep"),
    ),
    "claim": ("claim HERE/claim.py --workdir HERE", but("streamed images")),
}
"""Name -> the command, and the kinds of run for which it answers; for all others it is one line and exit code 2."""

PUBLISHED = {
    "convolutions": "pytorch-cifar",
    "language": "nanogpt",
    "masked": "huggingface",
    "sentences": "huggingface",
    "agent": "cleanrl",
    "Atari agent": "cleanrl",
}
"""Kind -> the layout of another library; of the others "huggingface", which they do not have."""


def table() -> str:
    """The table in CONTRIBUTING.md: the kinds of runs for which each command answers."""
    rows = [
        f"| {name} | `zoo {words.replace('HERE/', '')}` | {_kinds(kinds)} |"
        for name, (words, kinds) in COMMANDS.items()
    ]
    return "\n".join(["| | command | answers for |", "| --- | --- | --- |", *rows])


def _kinds(kinds: tuple[str, ...]) -> str:
    others = [kind for kind in KINDS if kind not in kinds]
    if not others:
        return "every kind"
    return (
        f"all but {', '.join(others)}"
        if len(others) < len(kinds)
        else ", ".join(kind for kind in KINDS if kind in kinds)
    )


if __name__ == "__main__":
    print(table())
