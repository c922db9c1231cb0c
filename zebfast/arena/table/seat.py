"""A player of ours at somebody's table: requests in, answers out, a line each."""

from __future__ import annotations

import json
from typing import BinaryIO

from zebfast.arena.policies.policy import PolicyError
from zebfast.arena.table.hands import choice
from zebfast.arena.table.players import TablePlayer
from zebfast.arena.table.protocol import (
    ANSWERS,
    MAX_LINE_BYTES,
    ProtocolError,
    answer_value,
    read_request,
)
from zebfast.system.parse import parse_json


def serve(player: TablePlayer, requests: BinaryIO, answers: BinaryIO) -> int:
    """Answer requests until they end, each by what it says alone; returns how many.

    ``hello`` is answered with the name, and notifications are not asked for. Raises ProtocolError,
    which names the line, for one that is no request.
    """
    number = answered = 0
    while line := requests.readline(MAX_LINE_BYTES + 1):
        number += 1
        if not line.strip():
            continue
        try:
            answer = answer_line(player, line)
        except ProtocolError as error:
            raise ProtocolError(f"Line {number} from the table is no request: {error}.") from error
        if answer is not None:
            answers.write(answer)
            answers.flush()
            answered += 1
    return answered


def answer_line(player: TablePlayer, line: bytes) -> bytes | None:
    """The answer to one line; None for a kind of message that wants none."""
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError(f"it is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        found = parse_json(line)
    except ValueError as error:
        raise ProtocolError(f"it is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise ProtocolError("it is not a JSON object")
    request = read_request(found)
    if request.kind == "hello":
        return _line({"name": player.name, "notify": False})
    if request.view is None:
        return None
    phase = request.view.phase
    try:
        chosen = choice(player, request.view)
    except PolicyError:  # the player's fault, not the table's
        raise
    except ValueError as error:  # what the request says cannot be
        raise ProtocolError(f"it tells of no possible hand: {error}") from error
    return _line({ANSWERS[phase]: answer_value(phase, chosen)})


def _line(answer: dict[str, object]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"
