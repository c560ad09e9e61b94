"""What runs of older versions did: the fields that their config.json does not say, or says in another sense."""

from typing import Any

FORMAT = "format"
"""Key of config.json: the number of its format; without the key it is 1."""
NEWEST = 2
"""Since 2, `python_docs` is split by `data.split_by`. Before, the field was there and meant nothing for it."""


def complete(content: dict[str, Any], own: bool) -> None:
    """Write into the content of a config.json what the run did; the key FORMAT is taken out.

    own: whether the run was made from a config file of the user, so that its data may be registered there.

    Classifiers of sentences were trained without segments before `data.segments`. Only sets of TFDS hold pairs with a
    class, so runs on other sets do not differ by it. The user's own files were split by position before
    `data.split_by`.
    """
    number = content.pop(FORMAT, 1)
    data, task = content.get("data"), content.get("task")
    if not isinstance(data, dict) or not isinstance(task, dict | None):
        return  # whoever reads it as an Experiment says so
    name = str(data.get("name"))
    if name.startswith(("folder:", "text:", "tsv:")) or (own and "placement" in data):
        data.setdefault("split_by", "position")
    if name == "python_docs" and number == 1:
        data["split_by"] = "position"
    on_text = "tokenizer" in data and (task or {}).get("name", "classify") == "classify"
    if on_text and not name.startswith(("tsv:", "python_docs/")):
        data.setdefault("segments", False)
