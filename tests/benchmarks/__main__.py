"""Measure: ``python -m tests.benchmarks [stream|stop|encode|cache|load|chat|loop|memory ...]``; all of them if none."""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module

from tests.data import DATA

NAMES = ("stream", "stop", "encode", "cache", "load", "chat", "loop", "memory")


def main(names: list[str]) -> None:
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(DATA / "tiktoken_cache")
    print(f"{platform.python_implementation()} {platform.python_version()}; best of interleaved blocks; read ratios")
    for name in names or NAMES:
        import_module(f"tests.benchmarks.{name}").run()


if __name__ == "__main__":
    main(sys.argv[1:])
