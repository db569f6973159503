"""Templates that would run, or grow, for ever; ``python -m tests.chat_attacks`` tells what each comes to.

Each runs in a process of its own with little memory, so that one that gets through harms nobody.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tokenfacade import ChatTemplate, TemplateLimitError, TemplateRenderError, TemplateSyntaxError
from tokenfacade.chat.limits import TemplateLimits

MESSAGES = [{"role": "user", "content": "hello world, this is a message"}]
SECONDS = 0.05
MEMORY = 1_000_000_000
"""What a process may take beside what it has."""

LINES = (Path(__file__).parent / "chat_attacks.txt").read_text(encoding="utf-8").splitlines()

_BIG = "{% set b = 'a' * 16000000 %}"
_NESTED = (
    "{% set ns = namespace(a=[1], b=[1]) %}"
    "{% for i in range(16) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}"
)
MADE = (
    *(
        "{{ " + opened * times + "1" + closed * times + " }}"
        for opened, closed, times in (
            ("(", ")", 10_000),
            ("[", "]", 10_000),
            ("[", "]", 150),
            ("{1:", "}", 500),
            ("not ", "", 10_000),
            ("- ", "", 10_000),
            ("- ", "", 150),
            ("(1 if a else ", ")", 60),
            ("(a + ", ")", 60),
        )
    ),
    *(
        "{{ a" + more * times + " }}"
        for more, times in (
            (".b", 9000),
            (".b", 400),
            (" + a", 9000),
            (" + a", 900),
            (" ~ a", 9000),
            ("|e", 9000),
            ("|e", 90),
            (" and a", 6000),
            (" == a", 6000),
            ("(1)", 150),
            ("[b]", 150),
            ("[0]", 6000),
            (" if a else 1", 5_000),
        )
    ),
    *(
        opened * times + closed * times
        for opened, closed, times in (
            ("{% if a %}", "{% endif %}", 6000),
            ("{% if a %}", "{% endif %}", 80),
            ("{% for a in b %}", "{% endfor %}", 100),
            ("{% with a = 1 %}", "{% endwith %}", 200),
            ("{% filter upper %}", "{% endfilter %}", 100),
            ("{% set x %}", "{% endset %}", 200),
        )
    ),
    "{% if a %}" + "{% elif a %}" * 3000 + "{% endif %}",
    "".join(f"{{% macro m{at}() %}}x{{% endmacro %}}" for at in range(1000)),
    "".join(f"{{% set m{at} = 1 %}}" for at in range(2000)),
    "{{ a }}" * 6000,
    "{{ a.b.c|e }}\n" * 2000,
    "{{ a }}" * 1_000_000,
    "x" * 10_000_000,
    "{% raw %}" + " " * 65_000,
    "{%" + " " * 65_000,
    "{% " * 20_000,
    ("{%" + " " * 1000) * 65,
    (" " * 1000 + "{% if") * 60,
    (" \n" * 10_000 + "{# #}") * 3,
    "{#" * 30_000,
    "{{ " + "1" * 65_000 + " }}",
    "{{ 0x" + "f" * 40_000 + " // 0x" + "7" * 20_000 + " }}",
    '{{ "' + "\\\\" * 30_000,
    "{{ [" + "a," * 32_000 + "] }}",
    "{{ a" + "<a" * 32_000 + " }}",
    "{{ a" + " in a" * 13_000 + " }}",
    "{{ a(" + "a," * 32_000 + ") }}",
    "{{ a }}" * 9_000,
    "{%set a=a%}" * 5_900,
    "{{a()}}" * 9_000,
    "{{a.b}}" * 9_000,
    _BIG + "{% if b.isalpha() %}{% endif %}" * 200,
    _BIG + "{% if 'ab' in b %}{% endif %}" * 400,
    _BIG + "{{ b == b ~ '' }}" * 500,
    _NESTED + "{% if ns.a == ns.b %}{% endif %}" * 400,
    _NESTED + "{% if ns.a in [ns.b] %}{% endif %}" * 400,
)


def attacks() -> list[str]:
    """All of them."""
    return [*LINES, *MADE]


def outcome(template: str) -> dict[str, Any]:
    """What became of a template, in how many seconds and bytes."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        os.write(write, json.dumps(_rendered(template)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(said) if said else {"kind": f"killed by {status}", "seconds": 0, "bytes": 0}


def _rendered(template: str) -> dict[str, Any]:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.alarm(15)
    start = time.process_time()
    try:
        ChatTemplate(template, limits=TemplateLimits(max_seconds=SECONDS)).render(MESSAGES)
        kind = "text"
    except TemplateLimitError as error:
        kind = "memory" if "memory" in str(error) else "limit"
    except TemplateSyntaxError:
        kind = "syntax"
    except TemplateRenderError as error:
        kind = error.reason
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"kind": kind, "seconds": time.process_time() - start, "bytes": (after - before) * 1024}


if __name__ == "__main__":
    ChatTemplate("{% for m in messages %}{{ m.content|trim|tojson }}{% endfor %}").render(MESSAGES)
    for template in attacks():
        sys.stdout.write(json.dumps({"template": template[:200], **outcome(template)}) + "\n")
