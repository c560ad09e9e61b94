"""A tiny network as weights by name, for tests: its row, and its files."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from tiny import network

import zoo
from zoo.weights import table
from zoo.weights.table import FileFacts, Row, Table

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "owner/tiny"
CARD, LAYOUT, FIELDS, MODEL, VARIABLES = network("resnet18-torchvision")
FILE = "model.safetensors"


def content_of(folder: Path) -> bytes:
    """The bytes of the tiny network as a published file."""
    return zoo.save_weights(folder / FILE, MODEL, VARIABLES, layout=LAYOUT).read_bytes()


def row_of(content: bytes | None, **changes: Any) -> Row:
    """A row for those bytes; None: of weights whose hash nobody states."""
    facts = FileFacts() if content is None else FileFacts(len(content), hashlib.sha256(content).hexdigest())
    fields: dict[str, Any] = {
        "name": f"{CARD}.tiny",
        "card": CARD,
        "files": {FILE: facts},
        "source": f"hf://{REPOSITORY}",
        "revision": COMMIT,
        "licence": "mit",
        "trained_on": "noise",
        "fields": FIELDS,
        "layout": LAYOUT,
        "default": True,
    }
    return Row(**{**fields, **changes})


def use(monkeypatch: pytest.MonkeyPatch, *rows: Row, **absent: str) -> None:
    """Let the table have these rows alone."""
    found = Table({row.name: row for row in rows}, {name.replace("__", "."): why for name, why in absent.items()})
    monkeypatch.setattr(table, "current", lambda: found)
