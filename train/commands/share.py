"""`zoo export … --to hf://owner/name`: weights uploaded with their model card."""

import dataclasses
import shutil
import tempfile
from pathlib import Path

import train.loop.run
from train.commands.export import ExportOptions, save
from zoo.errors import UserError
from zoo.weights import Loaded, hub, model_card, runs, store
from zoo.weights.model_card import ModelCard


def share(loaded: Loaded, options: ExportOptions) -> str:
    """Upload weights and return one line that says where they are and how they are used from there."""
    name = str(options.to)
    with tempfile.TemporaryDirectory() as temporary:
        folder = save(loaded, Path(temporary) / "weights", options.layout)
        card = _card(loaded, options, folder)
        use = [f"zoo train CONFIG --init-from {name}"]
        if loaded.preprocessing is not None:
            use.append(f"zoo predict INPUT --weights {name}")
        readme = model_card.markdown(card, name, use)
        (folder / "README.md").write_text(readme, encoding="utf-8")
        place = hub.upload(name, folder, private=options.card.private)
    return f'{place}: {loaded.name} from {loaded.source}, with its card; zoo.load_model("{loaded.name}", "{place}")'


def _card(loaded: Loaded, options: ExportOptions, folder: Path) -> ModelCard:
    """Return the card, and put its picture into the folder. UserError where nobody states the licence."""
    given, title = options.card, str(options.to).rpartition("/")[2]
    licence = given.licence or (loaded.row.licence if loaded.row else None)
    if not licence:
        raise UserError(f"{options.to} needs --licence NAME, such as cc-by-4.0: what others may do with the weights")
    run = runs.find(Path(loaded.source)) if Path(loaded.source).is_dir() else None
    if loaded.row is not None:
        card = dataclasses.replace(model_card.of_row(loaded.row), name=title)
        if card.picture:
            shutil.copyfile(store.folder_of(loaded.row) / card.picture, folder / card.picture)
    elif run is not None:
        from train.loop import weights_card

        card = weights_card.of_run(train.loop.run.load(run, options.config), title, folder / weights_card.PICTURE)
    else:
        card = ModelCard(name=title, model=loaded.name)
    data = f"{card.trained_on} ({given.data_licence})" if given.data_licence else card.trained_on
    return dataclasses.replace(
        card,
        licence=licence,
        trained_on=data,
        intended_use=given.intended_use or card.intended_use,
        fails_on="; ".join(filter(None, (given.fails_on, card.fails_on))),
    )
