"""A program of somebody's as a player: asked by lines on its standard input, within a time."""

from __future__ import annotations

import contextlib
import json
import queue
import shlex
import subprocess
import threading
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import Any, Self

from zebfast.arena.io.json_lines import FieldReader, RecordingError
from zebfast.arena.table.protocol import (
    ANSWERS,
    MAX_LINE_BYTES,
    VERSION,
    read_value,
    request_of,
)
from zebfast.rules import PASS, SeatView, longest_pip
from zebfast.system.parse import parse_json

PREFIX = "ext:"
DEFAULT_SECONDS = 10.0
_START_SECONDS = 60.0  # a program may have a network to load before it says hello
_END_SECONDS = 2.0


class ForeignPlayerError(RuntimeError):
    """A program that does not start, does not answer in time or has ended; one sentence."""


class ForeignPlayer:
    """Both partners of a team by one process, which is asked with what one seat knows at a time.

    An answer that is not legal is counted in ``illegal`` and replaced: by the lowest legal call,
    the longest suit, the lowest domino. Use it as a context: the process ends with it.

    Args:
        command: the program and its arguments, as a shell would split them; no shell runs it.
        seconds: within which it answers.

    Raises:
        ForeignPlayerError: it does not start, or gives no answer; here and by every question.
    """

    def __init__(self, command: str, *, seconds: float = DEFAULT_SECONDS) -> None:
        self.name = PREFIX + command
        self.illegal = 0
        self.infos: list[dict[str, Any]] = []  # of the game being played, taken by `take_infos`
        self._seconds = seconds
        self._game = ""
        self._lines: queue.Queue[bytes] = queue.Queue()
        try:
            arguments = shlex.split(command)
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except (OSError, ValueError, IndexError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "there is no command"
            raise ForeignPlayerError(
                f"Player {self.name!r} does not start: {reason}; expected {PREFIX}COMMAND."
            ) from error
        threading.Thread(target=self._read, daemon=True).start()
        try:
            hello = self._ask({"v": VERSION, "type": "hello"}, _START_SECONDS)
        except BaseException:
            self.close()
            raise
        self.said_name = str(hello.get("name", ""))[:80]
        self.notified = hello.get("notify") is True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End the process: its input closes, and if it goes on it is told to end, then made to."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        for signal in (None, SIGTERM, SIGKILL):
            if signal is not None:
                self._process.send_signal(signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
                return

    def _read(self) -> None:
        """Every line of its output; b"" when that ends. A line that is too long ends it, too."""
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while line := self._process.stdout.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    break
                self._lines.put(line)
        self._lines.put(b"")

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The one line that answers, as an object; an empty one where it is none."""
        what = request["type"] if "game" not in request else (
            f"{request['type']} of game {request['game']}, hand {request['hand_no']}")  # fmt: skip
        while not self._lines.empty():  # more than one line to an earlier question
            if self._lines.get() == b"":
                raise self._ended(what)
        self._send(request, what)
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise ForeignPlayerError(
                f"Player {self.name!r} gave no answer to {what} within {seconds:g} s."
            ) from None
        if not line:
            raise self._ended(what)
        try:
            answer = parse_json(line, tame=True)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def _send(self, message: dict[str, Any], what: str) -> None:
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._ended(what) from None

    def _ended(self, what: str) -> ForeignPlayerError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        code = self._process.poll()
        how = "closed its output" if code is None else f"ended with exit code {code}"
        return ForeignPlayerError(f"Player {self.name!r} {how}, and owes the answer to {what}.")

    def begin(self, game: str) -> None:
        """What questions call the game from now on."""
        self._game, self.infos = game, []

    def notify(self, message: dict[str, Any]) -> None:
        """Tell it what needs no answer, if it has asked for that."""
        if self.notified:
            self._send({"v": VERSION} | message, message["type"])

    def call(self, view: SeatView) -> int:
        """See TablePlayer."""
        return self._answer(view)

    def declare(self, view: SeatView) -> int:
        """See TablePlayer."""
        return self._answer(view)

    def play(self, view: SeatView) -> int:
        """See TablePlayer."""
        return self._answer(view)

    def _answer(self, view: SeatView) -> int:
        answer = self._ask(request_of(view, self._game), self._seconds)
        if "info" in answer:
            about = {"hand": view.hand_number, "seat": view.seat, "phase": view.phase}
            self.infos.append(about | {"info": answer["info"]})
        try:
            given = answer.get(ANSWERS[view.phase])
            value = read_value(view.phase, given, FieldReader("the answer"))
        except RecordingError:
            value = -1
        if value in view.legal:
            return value
        self.illegal += 1
        return replacement(view)


def replacement(view: SeatView) -> int:
    """What is done for a seat whose answer is not legal."""
    if view.phase == "declare":
        longest = longest_pip(view.hand)
        return longest if longest in view.legal else view.legal[0]
    lowest = min(view.legal)
    return PASS if view.phase == "call" and PASS in view.legal else lowest
