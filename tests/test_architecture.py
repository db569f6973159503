"""The rooms, the direction of imports, and the one module for each third-party package."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data import ROOT

PACKAGE = ROOT / "tokenfacade"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

# A room may import those of lower levels, and of its own only where it is a folder of parts that build on each other.
LEVELS = [
    {"errors", "encoding", "lazy", "spellings"},
    {"engine", "threads", "cut_points"},
    {"chat_protocol", "async_protocol"},
    {"protocols", "truncation", "model_config", "detect"},
    {"decoding", "chat"},
    {"backends", "hub", "cache"},
    {"factory"},
    {"testing"},
    {"__init__"},
]
THIRD_PARTY = {
    "tokenizers": ("backends/huggingface", "backends/gguf_"),
    "tiktoken": ("backends/tiktoken", "backends/tekken"),
    "regex": ("backends/tiktoken",),
    "sentencepiece": ("backends/sentencepiece",),
    "fastokens": ("backends/fast",),
    "hypothesis": ("testing/",),
    "huggingface_hub": ("hub",),
    "jinja2": ("chat/jinja_", "chat/inspect", "chat/trial/"),
    "markupsafe": ("chat/jinja_",),  # a part of Jinja
}
DEFERRED_UPWARD = {"protocols", "chat_protocol", "async_protocol"}
"""Derived methods import what they make when they are called."""


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def level(name: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS) if name in rooms)


def imports(path: Path, *, deferred: bool) -> Iterator[str]:
    """The modules that a file imports: when it is imported itself, or also those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if deferred else _at_import(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        if isinstance(node, ast.ClassDef | ast.If | ast.Try):
            yield from _at_import(node.body)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_downward_only(path: Path) -> None:
    here = room(name_of(path))
    for module in imports(path, deferred=here not in DEFERRED_UPWARD):
        if module.startswith("tokenfacade"):
            there = room(module)
            assert there == here or level(there) < level(here) or _may_be_deferred(path, module), module


def _may_be_deferred(path: Path, module: str) -> bool:
    """Type annotations aren't imported when the program runs."""
    return module not in set(imports(path, deferred=False)) and module in set(_for_types(path))


def _for_types(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from (inner.module or "" for inner in ast.walk(node) if isinstance(inner, ast.ImportFrom))


def test_no_two_modules_import_each_other() -> None:
    graph = {name_of(path): set(imports(path, deferred=False)) for path in MODULES}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        for imported in graph.get(module, ()):
            if imported in graph and imported != "tokenfacade":
                visit(imported, (*trail, module))

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_third_party_package_is_imported_only_by_the_module_named_after_it(path: Path) -> None:
    relative = path.relative_to(PACKAGE).with_suffix("").as_posix()
    for module in imports(path, deferred=True):
        package = module.partition(".")[0]
        if package != "tokenfacade" and package not in sys.stdlib_module_names:
            assert relative.startswith(THIRD_PARTY[package]), module


PUBLIC_CONSTRUCTORS = {
    "gguf": {"huggingface", "sentencepiece", "sentencepiece_model"},
    "tekken": {"tiktoken"},
}
"""Two backends may build on the public constructors of others."""


def test_backends_do_not_know_each_other() -> None:
    for path in (PACKAGE / "backends").glob("*.py"):
        family = path.stem.partition("_")[0]
        for module in imports(path, deferred=True):
            if module.startswith("tokenfacade.backends."):
                other = module.split(".")[2]
                is_public = other in PUBLIC_CONSTRUCTORS.get(family, ())
                assert is_public or other.partition("_")[0] in (family, "fast", "panics"), module


@pytest.mark.parametrize("path", [*MODULES, *sorted(ROOT.glob("tests/**/*.py"))], ids=name_of)
def test_a_file_says_its_subject_and_keeps_to_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "the first lines say what the file is about"
    assert text.count("\n") <= 400


def test_the_top_level_holds_only_what_the_design_names() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    top = {name.partition("/")[0] for name in listed if name and not name.startswith(".")}
    allowed = {"tokenfacade", "tests", "docs", "examples", "pyproject.toml", "CHANGELOG.md", "README.md", "LICENSE"}
    assert top <= allowed


def test_importing_the_package_imports_no_engine_and_no_extra() -> None:
    code = "import sys, tokenfacade; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    heavy = {
        "tokenizers",
        "tiktoken",
        "huggingface_hub",
        "transformers",
        "jinja2",
        "asyncio",
        "numpy",
        "requests",
        "regex",
        "sentencepiece",
        "fastokens",
        "hypothesis",
        "pytest",
    }
    assert not loaded & heavy


def test_production_code_asserts_nothing_and_prints_nothing() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Assert), path
            is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            assert not is_print, path


def test_one_place_builds_the_environment_of_templates() -> None:
    built = [
        (name_of(path), node.lineno)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            _called(node).endswith(("Environment", "from_string"))
            or any(keyword.arg in ("trim_blocks", "lstrip_blocks", "autoescape") for keyword in node.keywords)
        )
    ]
    assert [module for module, _ in built] == ["tokenfacade.chat.jinja_environment"], built


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
