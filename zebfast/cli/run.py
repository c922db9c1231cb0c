"""Runs one click command as a program: its exit code, and one sentence for a user's mistake."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, TextIO, TypeVar

import click

from zebfast.system.files import fault_text
from zebfast.system.signals import chain_of, exit_behind, exit_on_signals, terminate_at_end_of_input

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

HELP = {"help_option_names": ["-h", "--help"]}  # click's context settings for a whole program
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def run(command: click.Command, *, prog_name: str, argv: Sequence[str] | None = None) -> NoReturn:
    """Run `command` on `argv` (default: the process's) and exit.

    Exit codes: 0 ok, 1 failed, 2 wrong usage, 130 interrupted, 143 and 129 by SIGTERM and SIGHUP,
    which end it in order from wherever it is. An exception class that zebfast
    itself defines, any OSError, a missing package and a lack of memory become a sentence for the
    user, `error: …` on stderr; every other exception is a bug and keeps its traceback. Characters
    that a stream cannot show are replaced.
    """
    exit_on_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):
                stream.reconfigure(errors="replace")
    sys.excepthook = _tell_bug
    of_threads = threading.excepthook
    threading.excepthook = lambda args: _tell_bug(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )
    try:
        _run(command, prog_name, argv)
    finally:
        threading.excepthook = of_threads
        # Not when Python flushes at exit, where what a closed pipe does not take is told again.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                to_nowhere(stream)


#: Variables whose values are said nowhere.
_SECRETS = (
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "VAST_API_KEY", "RUNPOD_API_KEY",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "ZEB_NOTIFY_URL",
)  # fmt: skip


def hidden(text: str) -> str:
    """A text for people, without the secrets of the environment and what else looks like one."""
    from zebfast.system.redaction import redacted

    return redacted(text, [os.environ.get(name, "") for name in _SECRETS])


def _tell_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _say("".join(traceback.format_exception(kind, error, trace)).rstrip())


def to_nowhere(stream: TextIO) -> None:
    """From now on, what is written to this stream is lost, and nothing fails."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _run(command: click.Command, prog_name: str, argv: Sequence[str] | None) -> NoReturn:
    def main() -> Any:
        return command.main(
            args=None if argv is None else list(argv), prog_name=prog_name, standalone_mode=False
        )

    sys.exit(exit_code_of(main))


def exit_code_of(main: Callable[[], Any]) -> int:
    """The exit code of a program, told what it is where it ends by an exception of the user's.

    Other exceptions pass.
    """
    try:
        code = main()
    except click.ClickException as error:
        with redirect_stderr(io.StringIO()) as told:
            error.show(sys.stderr)
        _say(told.getvalue().rstrip("\n"))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and error.filename is None:
            to_nowhere(sys.stdout)  # whose reader went away
            return EXIT_FAILED
        if (by_signal := exit_behind(error)) is not None:
            return by_signal
        sentence = user_sentence(error)
        if sentence is None:
            raise
        _say(f"error: {sentence}")
        return EXIT_FAILED
    return code if isinstance(code, int) else EXIT_OK


def forked(main: Callable[[], int]) -> int:
    """The exit code of a fork of a program that is one itself, with all of it said and flushed.

    Signals end it in order, as they do a program that `run` runs.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exit_on_signals()
    code = EXIT_FAILED
    try:
        code = exit_code_of(main)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else EXIT_FAILED
    except BaseException as error:
        _tell_bug(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return code


def _say(text: str) -> None:
    with suppress(OSError):
        click.echo(hidden(text), err=True)


def user_sentence(error: BaseException) -> str | None:
    """The one sentence that tells a user what went wrong, or None where `error` is a bug."""
    kind = type(error)
    if kind.__module__.startswith("zebfast."):
        return str(error)
    if isinstance(error, OSError):
        return _os_sentence(error)
    if isinstance(error, UnicodeEncodeError) and "\udc80" <= error.object[error.start] <= "\udcff":
        around = error.object[max(0, error.start - 40) : error.start + 40].encode(errors="replace")
        return (
            f"a name or directory is no UTF-8 text (...{around.decode()!r}...), as zebfast's files "
            "must be: give it another name"
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package == "torch":
            return "this needs torch: pip install 'zebfast[train]' (zebfast doctor shows what else)"
        if package in ("starlette", "uvicorn"):
            return f"this needs {package}: pip install 'zebfast[web]'"
        if package != "zebfast":
            return f"this needs {package}: pip install {package} (zebfast doctor shows what else)"
        return "the compiled core is missing: make build, or pip install --force-reinstall zebfast"
    if any(map(_is_lack_of_memory, chain_of(error))):
        return (
            "out of memory; use fewer parallel games, a smaller batch or smaller buffers"
            f" ({str(error).splitlines()[0] if str(error) else 'no size given'})"
        )
    return None


def _is_lack_of_memory(error: BaseException) -> bool:
    """What is left because of it may fail at that, too: then it is behind the failure."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _os_sentence(error: OSError) -> str:
    reason = fault_text(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason += "; free some space and run the same command again"
    return reason


def stop_at_eof_option(command: Decorated) -> Decorated:
    """Add ``--stop-at-eof``: how a program that starts this one makes sure that it ends, too."""

    def listen(_context: click.Context, _option: click.Parameter, wanted: bool) -> None:
        if wanted:
            terminate_at_end_of_input()

    return click.option(
        "--stop-at-eof",
        is_flag=True,
        hidden=True,
        expose_value=False,
        callback=listen,
        help="Stop as on SIGTERM when standard input ends.",
    )(command)


# --- A group of verbs, each imported only when it is used, so that a list of them answers at
# once.


@dataclass(frozen=True)
class Verb:
    """Where a subcommand lives in zebfast.cli, and its line in the list of commands."""

    module: str
    attribute: str
    summary: str


class LazyGroup(click.Group):
    """A click group whose subcommands are imported when called, not when listed."""

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return None
        module = importlib.import_module(f"zebfast.cli.{verb.module}")
        loaded = getattr(module, verb.attribute)
        if not isinstance(loaded, click.Command):
            raise TypeError(f"{module.__name__}.{verb.attribute} is not a click command")
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in self.verbs.items()])
