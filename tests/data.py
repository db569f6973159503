"""Where the shared test data is: real tokenizers and golden outputs of the reference libraries."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("TOKENFACADE_TEST_DATA", ROOT.parent / "shared" / "data"))
HAS_DATA = (DATA / "README.md").is_file()
"""A fresh clone has no such folder: the suite is complete on tokenizers of its own; `.ci/run` insists on the folder."""


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a golden file, one a line."""
    with path.open(encoding="ascii") as lines:
        for line in lines:
            yield json.loads(line)
