"""The results that come with the project: results/claims.json and results/exhibits/."""

from pathlib import Path

_BESIDE = Path(__file__).parent.parent.parent / "results"  # in a clone
_INSIDE = Path(__file__).parent.parent / "result_files"  # in an installed wheel
FOLDER = _BESIDE if (_BESIDE.parent / "pyproject.toml").is_file() else _INSIDE
CLAIMS = "claims.json"
EXHIBITS = "exhibits"
