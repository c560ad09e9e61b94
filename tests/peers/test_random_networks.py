"""Two hundred random networks of every family: read rightly, or refused in one line that says why."""

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from published import BOUND
from random_networks import FAMILIES, Drawn, draw

import zoo

COUNT = 200
AT_ONCE = 25  # networks in one case, so that progress shows


def relative(drawn: Drawn, loaded: object) -> float:
    """The largest difference from the library's outputs, of the largest magnitude of each."""
    found = drawn.run(loaded)
    ours = [np.asarray(each, np.float64) for each in (found if isinstance(found, tuple) else (found,))]
    assert [each.shape for each in ours] == [each.shape for each in drawn.output]
    pairs = zip(ours, drawn.output, strict=True)
    return max(float(np.abs(each - theirs).max() / np.abs(theirs).max()) for each, theirs in pairs)


@pytest.mark.parametrize("part", range(COUNT // AT_ONCE))
@pytest.mark.parametrize("family", FAMILIES)
def test_a_random_network_is_equal_or_refused(family: str, part: int, tmp_path: Path) -> None:
    equal, named, misfit, wrong, seed = 0, 0, 0, [], 10_000 * part
    while equal + named + misfit + len(wrong) < AT_ONCE:
        seed += 1
        folder = tmp_path / str(seed)
        folder.mkdir()
        if (drawn := draw(FAMILIES[family], seed, folder)) is None:
            continue
        about = f"{drawn.card} {drawn.sizes} {drawn.odd}"
        try:
            loaded = zoo.load_model(drawn.card, folder, **drawn.fields)
        except zoo.UserError as refusal:
            line = str(refusal)
            if "\n" in line:
                wrong.append(f"several lines: {line} <- {about}")
            elif any(re.search(rf"\b{key}\b", line) for key in (*drawn.odd, *drawn.sizes, "input_size")):
                named += 1
            elif "does not fit" in line or "these are not weights of" in line:
                misfit += 1
            else:
                wrong.append(f"refused: {line} <- {about}")
            continue
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error} <- {about}")
            continue
        if (found := relative(drawn, loaded)) <= BOUND:
            equal += 1
        else:
            wrong.append(f"another network is loaded, relative error {found:.2g} <- {about}")
    print(f"{family}: {equal} equal, {named} refused by a key, {misfit} refused by an array, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)
