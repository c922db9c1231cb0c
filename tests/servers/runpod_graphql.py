"""As much of GraphQL as the RunPod client speaks: a question into its parts, an answer cut to it.

Strict on purpose: what a real service would refuse (an unescaped quotation mark, a field that does
not exist) is refused here, in words that quote the question as real ones do.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'[\s,]*(?:(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)'
    r"|(?P<name>[_A-Za-z]\w*)|(?P<sign>[{}()\[\]:]))"
)
_WORDS = {"true": True, "false": False, "null": None}


class QuestionError(Exception):
    """What a service says of a question that it cannot make sense of."""


@dataclass
class Asked:
    """One field of a question: under which name to answer, with what, and which parts of it."""

    name: str
    alias: str
    arguments: dict[str, Any] = field(default_factory=dict)
    parts: list[Asked] = field(default_factory=list)


def parse(question: str) -> list[Asked]:
    """The fields that a query or mutation asks for."""
    tokens = _tokens(question)
    if tokens and tokens[-1][1] in ("query", "mutation"):
        tokens.pop()
        if tokens[-1][0] == "name":
            tokens.pop()
    fields = _fields(tokens)
    if tokens:
        raise QuestionError(f"Syntax Error: Unexpected {tokens[-1][0]} {tokens[-1][1]}.")
    return fields


def cut(value: Any, asked: Asked) -> Any:
    """Only what was asked for of ``value``. Fields with arguments are functions of them."""
    if isinstance(value, list):
        return [cut(item, asked) for item in value]
    if value is None or not asked.parts:
        return value
    answer = {}
    for part in asked.parts:
        if part.name not in value:
            raise QuestionError(f'Cannot query field "{part.name}" on type "{asked.name}".')
        found = value[part.name]
        answer[part.alias] = cut(found(**part.arguments) if callable(found) else found, part)
    return answer


def _tokens(question: str) -> list[tuple[str, str]]:
    """Kind and text, the first one last."""
    found, at, end = [], 0, len(question.rstrip())
    while at < end:
        match = _TOKEN.match(question, at)
        if not match:
            raise QuestionError(f"Syntax Error: Unexpected character: {question[at:]}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return found[::-1]


def _take(tokens: list[tuple[str, str]], kind: str, text: str | None = None) -> str:
    got = tokens.pop() if tokens else ("end", "")
    if got[0] != kind or (text is not None and got[1] != text):
        raise QuestionError(f"Syntax Error: Expected {text or kind}, found {got[0]} {got[1]}.")
    return got[1]


def _next(tokens: list[tuple[str, str]], text: str) -> bool:
    """Is this sign next? It is taken then."""
    if tokens and tokens[-1] == ("sign", text):
        tokens.pop()
        return True
    return False


def _fields(tokens: list[tuple[str, str]]) -> list[Asked]:
    _take(tokens, "sign", "{")
    fields = []
    while not _next(tokens, "}"):
        alias = name = _take(tokens, "name")
        if _next(tokens, ":"):
            name = _take(tokens, "name")
        asked = Asked(name, alias)
        if _next(tokens, "("):
            asked.arguments = _pairs(tokens, ")")
        if tokens and tokens[-1] == ("sign", "{"):
            asked.parts = _fields(tokens)
        fields.append(asked)
    return fields


def _pairs(tokens: list[tuple[str, str]], end: str) -> dict[str, Any]:
    pairs = {}
    while not _next(tokens, end):
        name = _take(tokens, "name")
        _take(tokens, "sign", ":")
        pairs[name] = _value(tokens)
    return pairs


def _value(tokens: list[tuple[str, str]]) -> Any:
    if _next(tokens, "{"):
        return _pairs(tokens, "}")
    if _next(tokens, "["):
        values = []
        while not _next(tokens, "]"):
            values.append(_value(tokens))
        return values
    kind, text = tokens.pop() if tokens else ("end", "")
    if kind in ("string", "number"):
        return json.loads(text)
    if kind == "name":
        return _WORDS.get(text, text)
    raise QuestionError(f"Syntax Error: Unexpected {kind} {text}.")
