"""Record what a character model expects after each letter of texts that it continues, for the page's live exhibits.

python tools/traces.py

It writes results/exhibits/traces/NAME.json from the weights of that name in the package. Each text begins with a prompt
and goes on with letters drawn from the model by a fixed seed.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import zoo
from train.data.text import tokenizers
from train.history.claims import results
from train.history.timeline.live import traces

NAME = "gpt_char_mini.shakespeare"
PROMPTS = ("ROMEO:\n", "To be, or not to be", "The king is ", "My lord, I ")
TEMPERATURE = 0.7
SEED = 0


def main() -> int:
    """Write the file of traces, and print its texts."""
    loaded = zoo.pretrained(NAME)
    tokenizer = tokenizers.read(Path(str(loaded.folder)))
    length, draw = loaded.model.cfg.context, np.random.default_rng(SEED)
    forward = jax.jit(lambda tokens: jax.nn.log_softmax(loaded.model.apply(loaded.variables, tokens, train=False)))
    texts = []
    for prompt in PROMPTS:
        ids = tokenizers.encode(tokenizer, prompt)
        begun = len(ids)
        while len(ids) < length:
            after = np.asarray(forward(_row(ids, length)))[0, len(ids) - 1].astype(np.float64) / TEMPERATURE
            shares = np.exp(after - after.max())
            ids.append(int(draw.choice(len(shares), p=shares / shares.sum())))
        shares = np.exp(np.asarray(forward(_row(ids, length)))[0])
        letters = [tokenizers.decode(tokenizer, [number]) for number in range(shares.shape[1])]
        expected = []
        for row in shares:
            best = np.argsort(-row)[: traces.BARS]
            expected.append([[letters[i], round(float(row[i]), 3)] for i in best])
        text = tokenizers.decode(tokenizer, ids)
        texts.append(traces.Text(text, begun, expected))
        print(text, "\n---")
    file = traces.write(traces.Trace(NAME, NAME.partition(".")[0], TEMPERATURE, texts), results.EXHIBITS)
    print(f"{file}: {file.stat().st_size:,} bytes")
    return 0


def _row(ids: list[int], length: int) -> jax.Array:
    """Return one row of tokens; what follows the text changes nothing before it."""
    return jnp.asarray([ids + [0] * (length - len(ids))], jnp.int32)


if __name__ == "__main__":
    sys.exit(main())
