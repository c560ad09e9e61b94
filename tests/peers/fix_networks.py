"""Write a few of the random networks to tests/zoo/weights/networks: python tests/peers/fix_networks.py

`make test` reads them without the libraries that made them (tests/zoo/weights/test_networks.py). Of every family there
are the first small network that loads, and the first that is refused by one of its keys.
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from random_networks import FAMILIES, Drawn, draw

import zoo

FOLDER = Path(__file__).parents[1] / "zoo/weights/networks"
MOST = 130_000  # bytes of a network's weights
KEPT = ("config.json", "model.safetensors")


def refusal(drawn: Drawn, folder: Path) -> str:
    """The message with which a network is refused; "" if it loads."""
    try:
        zoo.load_model(drawn.card, folder, **drawn.fields)
    except zoo.UserError as error:
        return str(error)
    return ""


def keep(drawn: Drawn, folder: Path, name: str, key: str) -> None:
    """Copy a network with its output, or with the key that its refusal names."""
    into = FOLDER / name
    into.mkdir(parents=True)
    for file in KEPT:
        shutil.copyfile(folder / file, into / file)
    about = {"card": drawn.card, "fields": drawn.fields, "refused": key}
    (into / "about.json").write_text(json.dumps(about) + "\n")
    if not key:
        np.savez_compressed(into / "output.npz", *[each.astype(np.float32) for each in drawn.output])


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for family, recipe in FAMILIES.items():
        wanted, seed = {"loads", "refused"}, 0
        while wanted:
            seed += 1
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                drawn = draw(recipe, seed, folder)
                if drawn is None or (folder / "model.safetensors").stat().st_size > MOST:
                    continue
                message = refusal(drawn, folder)
                key = next((each for each in drawn.odd if each in message), "")
                kind = "refused" if message else "loads"
                if kind in wanted and bool(message) == bool(key):
                    keep(drawn, folder, f"{family}-{kind}", key)
                    wanted.remove(kind)


if __name__ == "__main__":
    main()
