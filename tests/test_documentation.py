"""Every example runs: docstrings, README, the pages of docs, and the scripts of examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tokenfacade
from tests.data import ROOT

MODULES = ["tokenfacade", *(module.name for module in pkgutil.walk_packages(tokenfacade.__path__, "tokenfacade."))]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]

QUICKSTART = """
import runpy, time
time.sleep = lambda _: None
runpy.run_path("examples/quickstart.py", run_name="__main__")
"""


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples load ``examples/tokenizer`` as a reader in a clone would."""
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    exec(compile("\n".join(blocks), page_name(page), "exec"), {"__name__": "page"})


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_quickstart_shows_a_chat_tokens_a_stream_and_a_stop() -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            QUICKSTART,
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PATH": ""},
    )
    assert "<|im_start|>user\nWhat does a router do?<|im_end|>\n<|im_start|>assistant\n" in result.stdout
    assert "back 😊, one by one.\n" in result.stdout
    assert "this must not appear" not in result.stdout.partition("Streamed")[2]
    assert "Stopped at '\\nUser:'" in result.stdout


def test_the_tokenizer_of_the_examples_is_trained_as_its_script_says(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        script = importlib.import_module("train_tokenizer")
    finally:
        sys.path.pop(0)
    trained = script.train(script.prose())
    trained.save(str(tmp_path / "tokenizer.json"))
    again = tokenfacade.create_tokenizer(tmp_path)
    committed = tokenfacade.create_tokenizer(ROOT / "examples" / "tokenizer")
    assert again.vocab_size == committed.vocab_size == 2000
    for text in ("A stream never breaks a character 😊.", "<|im_start|>user\nhi<|im_end|>"):
        assert again.decode(again.encode(text), skip_special_tokens=False) == text
        assert committed.decode(committed.encode(text), skip_special_tokens=False) == text
