"""What a trained model writes: translations and how good they are (BLEU, chrF), samples of a language model."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sacrebleu
from jax.sharding import Mesh

from train.algorithms.averages import evaluation_params
from train.config import Experiment
from train.core import State
from train.data.text import tokenizers
from train.inference import text as write
from train.inference.decode import Beam, Decoder, Sampling, SpecialTokens
from train.metrics.evaluation import Evaluator
from train.tasks.setup import Setup
from zoo.files import write_atomically

SHOWN = 50  # translations in samples/
SAMPLES, SAMPLE_TOKENS, PROMPT_TOKENS = 3, 200, 8


def with_translations(parts: Setup, experiment: Experiment) -> Setup:
    """`parts` whose test evaluation also translates: "bleu" and "chrf" (0 to 100), "exact_match" (0 to 1)."""
    sources, references = parts.dataset.test.texts
    metrics = {"bleu": sacrebleu.BLEU(references=[references]), "chrf": sacrebleu.CHRF(references=[references])}

    def translated(state: State, sentences: Sequence[str]) -> list[str]:
        bos, eos = tokenizers.require(parts.tokenizer, ("[BOS]", "[EOS]"), "translation")
        length = experiment.data.length
        texts = [tokenizers.encode(parts.tokenizer, sentence, strict=False) for sentence in sentences]
        rows = write.translate_rows(
            Decoder(parts.model, _variables(state)),
            [[*ids[: length - 1], eos] for ids in texts],
            Beam(experiment.task.beams, length, experiment.task.length_penalty),
            SpecialTokens(bos, eos),
        )
        return [tokenizers.decode(parts.tokenizer, row) for row in rows]

    def evaluator(split: str, mesh: Mesh | None) -> Evaluator | None:
        measure = parts.evaluator(split, mesh)
        if split != "test":
            return measure

        def evaluate(state: State) -> dict[str, float]:
            means = measure(state)
            count = means.pop("count")
            found = translated(state, sources)
            for name, metric in metrics.items():
                means[name] = metric.corpus_score(found, None).score
            means["exact_match"] = sum(map(str.__eq__, found, references)) / len(found)
            return means | {"count": count}

        return evaluate

    def show(state: State, folder: Path) -> None:
        some = sources[:SHOWN]
        rows = [("source", "reference", "translation"), *zip(some, references, translated(state, some), strict=False)]
        write_atomically(folder / "test.tsv", "".join("\t".join(row) + "\n" for row in rows), make_folder=True)

    notes = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    return dataclasses.replace(parts, evaluator=evaluator, show=show, notes=notes)


def with_samples(parts: Setup, experiment: Experiment) -> Setup:
    """`parts` that end with samples: the beginning of the test text, continued."""

    def show(state: State, folder: Path) -> None:
        prompt = parts.dataset.test.arrays["tokens"][:PROMPT_TOKENS].tolist()
        rows = write.continue_rows(
            Decoder(parts.model, _variables(state)),
            [prompt] * SAMPLES,
            length=SAMPLE_TOKENS,
            sampling=Sampling(temperature=0.8),
            seed=experiment.seed,
            context=experiment.data.length if hasattr(parts.model.cfg, "context") else None,
        )
        texts = [tokenizers.decode(parts.tokenizer, row) for row in rows]
        write_atomically(folder / "samples.txt", f"\n{'-' * 60}\n".join(texts) + "\n", make_folder=True)

    return dataclasses.replace(parts, show=show)


def _variables(state: State) -> dict[str, Any]:
    return {"params": evaluation_params(state), **state.vars["net"]}
