"""Functions are declared as the ``openai-harmony`` renderer declares them; the expected texts are what 0.0.8 gave."""

from __future__ import annotations

from typing import Any

import pytest

from tokenfacade.chat.renderers.typescript import declare_function
from tokenfacade.errors import TemplateRenderError

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.\nOf now.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where, e.g. Köln"},
                "units": {"type": "string", "enum": ["C", "F"], "default": "C"},
                "days": {"type": ["integer", "null"], "default": 1.5e-7},
                "places": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "description": "A place.",
                        "properties": {"at": {"type": "number", "title": "At", "examples": ["1.5", 2]}},
                        "required": ["at"],
                    },
                },
                "when": {
                    "description": "A time.",
                    "oneOf": [
                        {"type": "string", "description": "ISO", "default": "now"},
                        {"type": "integer", "nullable": True, "description": "Seconds"},
                    ],
                },
            },
            "required": ["city"],
        },
    },
}

DECLARATION = """\
// The weather.
// Of now.
type weather = (_: {
// Where, e.g. Köln
city: string,
units?: "C" | "F", // default: C
days?: number | null, // default: 1.5e-7
places?:     // A place.
{
    // At
    //
    // Examples:
    // - "1.5"
    at: number,
    }[],
// A time.
when?:
 | string // default: "now"
 | number | null // Seconds
,
}) => any;"""


def test_a_function_is_declared_as_by_openai_harmony() -> None:
    function = WEATHER["function"]
    assert declare_function(function["name"], function["description"], function["parameters"]) == DECLARATION


@pytest.mark.parametrize(
    ("default", "written"),
    [
        (1e-5, "0.00001"),
        (-1.5e-5, "-0.000015"),
        (1e-7, "1e-7"),
        (0.00012, "0.00012"),
        (1e16, "1e16"),
        (1e15, "1000000000000000.0"),
        (-0.0, "-0.0"),
        ({"b": [1, None, True], "a": "\u20ac\n"}, '{"b":[1,null,true],"a":"\u20ac\\n"}'),
        ("plain", '"plain"'),
    ],
)
def test_defaults_are_written_as_serde_json_writes_them(default: object, written: str) -> None:
    function = declare_function(
        "f", "", {"type": "object", "properties": {"a": {"type": "number", "default": default}}}
    )
    assert function == f"type f = (_: {{\na?: number, // default: {written}\n}}) => any;"


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (None, "type f = () => any;"),
        ({}, "type f = (_: any) => any;"),
        ({"type": "object"}, "type f = (_: {\n}) => any;"),
        ({"type": "array"}, "type f = (_: Array<any>) => any;"),
        ({"type": "array", "items": [1]}, "type f = (_: any[]) => any;"),
        ({"type": ["integer", 3]}, "type f = (_: number) => any;"),
        ({"type": []}, "type f = (_: any) => any;"),
        ({"type": "string", "enum": [1]}, "type f = (_: string) => any;"),
        (
            {"oneOf": [{"type": "string", "default": "x", "description": "d"}, {"enum": ["y"], "default": "y"}]},
            'type f = (_: \n | string // d default: "x"\n | any // default: "y") => any;',
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"description": "d", "default": 1, "oneOf": [{"description": "d"}]}},
            },
            "type f = (_: {\n// default: 1\na?:\n | any\n,\n}) => any;",
        ),
    ],
)
def test_odd_schemas_become_the_types_of_openai_harmony(schema: object, written: str) -> None:
    assert declare_function("f", "", schema) == written


def test_descriptions_are_comments_line_by_line() -> None:
    assert declare_function("f", "a\r\n\nb\n", None) == "// a\n// \n// b\ntype f = () => any;"


@pytest.mark.parametrize("default", [float("inf"), [float("nan")]])
def test_defaults_that_json_lacks_are_refused(default: object) -> None:
    with pytest.raises(TemplateRenderError, match="default"):
        declare_function("f", "", {"type": "object", "properties": {"a": {"default": default}}})


def test_schemas_nested_too_deeply_are_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(10_000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(TemplateRenderError, match="deep"):
        declare_function("f", "", schema)
