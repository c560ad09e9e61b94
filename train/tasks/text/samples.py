"""Text that a trained model writes: translations with their BLEU and chrF, samples of a language model."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sacrebleu
from jax.sharding import Mesh

from train.algorithms.averages import evaluation_variables
from train.config import Experiment, Text, Translate
from train.core import State, devices
from train.data.text import tokenizers
from train.inference import text as write
from train.inference.decode import Beam, Decoder, Sampling, SpecialTokens
from train.metrics.evaluation import Evaluator
from train.tasks.setup import Setup, narrow
from zoo.files import write_atomically

SHOWN = 50  # translations in samples/
BLEU_TOKENIZERS = {
    "zh": ("zh", "zho", "chi", "cmn", "yue"),
    "char": ("ja", "jpn", "ko", "kor"),
}
"""Tokenizer of sacreBLEU -> codes of the languages that it is for (ISO 639); every other language has 13a."""
SAMPLES, SAMPLE_TOKENS, PROMPT_TOKENS = 3, 200, 8


def with_translations(setup: Setup, config: Translate, length: int) -> Setup:
    """Let the test evaluation also translate: "bleu", "chrf" and "exact_match" join its metrics.

    length: tokens of a sentence at most. References are compared as the tokenizer writes them: WordPiece loses spacing,
    and accents where it lowers case. What that hides of the real references is noted as the ceiling of BLEU.
    """
    sources, originals = setup.dataset.test.texts
    tokenizer = setup.dataset.tokenizer
    references = [tokenizers.as_written(tokenizer, text) for text in originals]
    words = config.bleu_tokenizer or bleu_tokenizer(setup.dataset.target_language)
    metrics = {
        "bleu": sacrebleu.BLEU(references=[references], tokenize=words),
        "chrf": sacrebleu.CHRF(references=[references]),
    }

    def translated(state: State, sentences: Sequence[str]) -> list[str]:
        bos, eos = tokenizers.require(tokenizer, ("[BOS]", "[EOS]"), "translation")
        texts = [tokenizers.encode(tokenizer, sentence, strict=False) for sentence in sentences]
        rows = write.translate_rows(
            Decoder(setup.model, _variables(state)),
            [[*ids[: length - 1], eos] for ids in texts],
            Beam(config.beams, length, config.length_penalty),
            SpecialTokens(bos, eos),
        )
        return [tokenizers.decode(tokenizer, row) for row in rows]

    def evaluator(split: str, mesh: Mesh | None) -> Evaluator | None:
        measure = setup.evaluator(split, mesh)
        if split != "test" or measure is None:
            return measure

        def evaluate(state: State) -> dict[str, float]:
            means = measure(state)
            count = means.pop("count")
            translations = translated(state, sources)
            for name, metric in metrics.items():
                means[name] = metric.corpus_score(translations, None).score
            means["exact_match"] = sum(map(str.__eq__, translations, references)) / len(translations)
            return means | {"count": count}

        return evaluate

    def show(state: State, folder: Path) -> None:
        some = sources[:SHOWN]
        rows = [("source", "reference", "translation"), *zip(some, originals, translated(state, some), strict=False)]
        write_atomically(folder / "test.tsv", "".join("\t".join(row) + "\n" for row in rows), make_folder=True)

    notes = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    if references != list(originals):
        ceiling = sacrebleu.BLEU(tokenize=words).corpus_score(references, [originals]).score
        notes["bleu"] += f", references as the tokenizer writes them, which score {ceiling:.2f} against the originals"
    return dataclasses.replace(setup, evaluator=evaluator, show=show, notes=notes)


def bleu_tokenizer(language: str | None) -> str:
    """Return sacreBLEU's tokenizer for a target language, given by a code such as "zh", "zh-TW" or "jpn".

    Chinese and Japanese have no spaces between words, and Korean joins particles to them. sacreBLEU's own tokenizers of
    Japanese and Korean need more packages, so characters are counted, whatever is installed.
    """
    code = re.split("[-_]", (language or "").lower())[0]
    return next((name for name, codes in BLEU_TOKENIZERS.items() if code in codes), "13a")


def with_samples(setup: Setup, experiment: Experiment) -> Setup:
    """Let the run end with samples: the beginning of the test text, continued by the model."""
    window = narrow(experiment.data, Text).length

    def show(state: State, folder: Path) -> None:
        prompt = setup.dataset.test.arrays["tokens"][:PROMPT_TOKENS].tolist()
        rows = write.continue_rows(
            Decoder(setup.model, _variables(state)),
            [prompt] * SAMPLES,
            length=SAMPLE_TOKENS,
            sampling=Sampling(temperature=0.8),
            seed=experiment.seed,
            context=window if hasattr(setup.model.cfg, "context") else None,
        )
        texts = [tokenizers.decode(setup.dataset.tokenizer, row) for row in rows]
        write_atomically(folder / "samples.txt", f"\n{'-' * 60}\n".join(texts) + "\n", make_folder=True)

    return dataclasses.replace(setup, show=show)


def _variables(state: State) -> dict[str, Any]:
    """Return the variables that write; with several processes it is a collective: each writes for itself."""
    return devices.gathered(evaluation_variables(state))
