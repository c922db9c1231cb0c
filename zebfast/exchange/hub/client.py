"""Calls of huggingface_hub: bounded in time, passing faults retried, the rest one sentence.

The library retries some calls by itself and others not at all; ``HubClient.call`` is for those that
it does not (commits, repository information, squashes, downloads), ``once`` for the others.
"""

from __future__ import annotations

import errno
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from zebfast.exchange.errors import ExchangeError, TransientError, brief
from zebfast.system.events import Retrying, emit
from zebfast.system.redaction import redacted
from zebfast.system.retry import asked_pause, doubling, jittered, retrying

if TYPE_CHECKING:
    from zebfast.exchange.place import StoreOptions

T = TypeVar("T")

_PASSING = frozenset({408, 409, 412, 423, 425, 429, 500, 502, 503, 504, 520, 522, 524})
_CONFLICTS = frozenset({409, 412})
_MAX_CONFLICTS = 30
_LONGEST_WAIT = 60.0  # seconds asked for by the Hub that a caller is made to wait
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE})
_XET_REFUSAL = re.compile(r"HTTP status client error \((?:401|403)\b")
_RATE_LIMIT = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*([0-9]{1,9})\b")
_SECONDS = re.compile(r"[0-9]{1,9}")


class Conflict(TransientError):
    """Somebody else committed in between: read again and try at once."""


class HubClient:
    """The library's API object for one place, with this project's errors and retries."""

    def __init__(self, place: str, *, options: StoreOptions) -> None:
        self.place, self.options = place, options
        self._api: Any = None

    @property
    def api(self) -> Any:
        """The ``HfApi``; huggingface_hub is imported when it is first used."""
        if self._api is None:
            _prepare(self.options.timeout)
            from huggingface_hub import HfApi

            self._api = HfApi()
        return self._api

    def once(self, function: Callable[[], T]) -> T:
        """``function()``, a conflict apart tried once; its faults as ExchangeErrors."""
        return retrying(
            lambda: self._translated(function),
            on=Conflict,
            attempts=_MAX_CONFLICTS,
            pause=jittered(self.options.retry_seconds / 5, longest=2.0),
        )

    def call(self, function: Callable[[], T]) -> T:
        """``function()``, tried again while it fails for a passing reason, which is told.

        ``function`` must look afresh each time at what it changes: the attempt before may have
        succeeded with its reply lost.

        Raises:
            TransientError: still failing after the last attempt, or told to wait for long.
            ExchangeError: one sentence, for a fault that waiting does not cure.
        """
        attempts = self.options.attempts

        def again(error: TransientError, attempt: int, seconds: float) -> None:
            if asked_pause(error) > _LONGEST_WAIT:
                raise error
            emit(
                Retrying(
                    call="hub",
                    error=str(error),
                    seconds=seconds,
                    attempt=attempt,
                    attempts=attempts,
                )
            )

        return retrying(
            lambda: self.once(function),
            on=TransientError,
            attempts=attempts,
            pause=doubling(self.options.retry_seconds),
            again=again,
        )

    def _translated(self, function: Callable[[], T]) -> T:
        try:
            return function()
        except ExchangeError:
            raise
        except Exception as error:
            known = explain(error, self.place)
            if known is None:
                raise
            raise known from error


def explain(error: BaseException, place: str) -> ExchangeError | None:
    """What a fault of huggingface_hub or hf_xet means; None for bugs and for the local disk."""
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return ExchangeError(f"HF_HUB_OFFLINE forbids reaching {place}: unset it to use the Hub")
    if isinstance(error, errors.LocalTokenNotFoundError):
        return ExchangeError(_token_sentence(place, "there is no token"))
    if isinstance(error, errors.HFValidationError):
        return ExchangeError(f"{place} cannot be a place on the Hub: expected owner/name")
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_status(error, place)
    if isinstance(error, errors.LocalEntryNotFoundError):
        # What the library says when it could not look a file up; the reason is the cause.
        cause = error.__cause__
        known = None if cause is None else explain(cause, place)
        return known or TransientError(f"{place} could not be read: {brief(error)}")
    if isinstance(error, PermissionError) and error.errno is None:  # hf_xet's
        return ExchangeError(_token_sentence(place, brief(error)))
    if _XET_REFUSAL.search(str(error)):
        return ExchangeError(_token_sentence(place, brief(error)))
    if isinstance(error, OSError) and error.errno in _FULL:
        return None
    passing = (errors.HTTPError, OSError, ValueError)  # a name that no file may have is the last
    # hf_xet reports what went wrong on its way as plain RuntimeErrors.
    if isinstance(error, passing) or type(error) is RuntimeError:
        return TransientError(f"{place}: {brief(error)}")
    if isinstance(error, LookupError | TypeError | AttributeError) and _is_the_librarys(error):
        return TransientError(f"{place} gave an answer of another form: {brief(error)}")
    return None


def _is_the_librarys(error: BaseException) -> bool:
    """Was an error raised in code of others, by an answer that it did not expect?"""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and not last.tb_frame.f_globals["__name__"].startswith("zebfast.")


def _explain_status(error: Any, place: str) -> ExchangeError:
    from huggingface_hub import errors

    status = error.response.status_code
    said = redacted(error.response.headers.get("X-Error-Message") or brief(error))
    text = f"{place}: HTTP {status}, {' '.join(said.split())[:200]}"
    if isinstance(error, errors.GatedRepoError):
        return ExchangeError(f"{place} is gated: ask for access on its page, then try again")
    if isinstance(error, errors.RevisionNotFoundError):
        return ExchangeError(f"{place} has no such revision: see which there are, and choose one")
    if isinstance(error, errors.RepositoryNotFoundError | errors.BucketNotFoundError):
        return ExchangeError(
            f"{place} does not exist or is not visible to this token: check the name, and that "
            "HF_TOKEN (or hf auth login) belongs to somebody who may read it"
        )
    if status in (401, 403):
        return ExchangeError(_token_sentence(place, f"HTTP {status}, {said}"))
    if status in _CONFLICTS:
        return Conflict(text)
    if status in _PASSING:
        return TransientError(text, retry_after=asked_wait(error.response.headers))
    return ExchangeError(f"{text}: the Hub refused this request; check the name and the token")


def _token_sentence(place: str, reason: str) -> str:
    return (
        f"the Hub refuses access to {place} ({' '.join(reason.split())[:200]}): set HF_TOKEN to a "
        "token that may use it, or log in with hf auth login"
    )


def asked_wait(headers: Any) -> float | None:
    """Seconds that an answer's headers ask to wait; None when they name none."""
    limit = _RATE_LIMIT.search(headers.get("RateLimit") or "")
    if limit:
        return float(limit[1])
    after = (headers.get("Retry-After") or "").strip()
    return float(after) if _SECONDS.fullmatch(after) else None


_PREPARED = threading.Lock()
_prepared = False


def _prepare(timeout: float) -> None:
    """Once a process: give the library's HTTP client a time limit, and keep its bars quiet.

    Raises:
        ExchangeError: huggingface_hub is not installed.
    """
    global _prepared
    with _PREPARED:
        if _prepared:
            return
        try:
            import huggingface_hub
            from huggingface_hub.utils import disable_progress_bars
            from huggingface_hub.utils._http import default_client_factory
        except ImportError as error:
            raise ExchangeError(
                "the Hub needs the package huggingface_hub: pip install 'zebfast[hub]'"
            ) from error

        def limit(request: Any) -> None:
            # The library asks for no limit at all in many calls: a hung Hub would hang us.
            asked = request.extensions.get("timeout") or {}
            parts = ("connect", "read", "write", "pool")
            request.extensions["timeout"] = {part: asked.get(part) or timeout for part in parts}

        def bounded() -> Any:
            client = default_client_factory()
            hooks = {"request": [*client.event_hooks["request"], limit]}
            client.event_hooks = {**hooks, "response": [_refuse_long_wait]}
            return client

        huggingface_hub.set_client_factory(bounded)
        disable_progress_bars()
        _prepared = True


def _refuse_long_wait(response: Any) -> None:
    """The library would sleep for as long as a 429 asks, an hour if need be; the caller decides."""
    wait = asked_wait(response.headers) if response.status_code == 429 else None
    if wait is not None and wait > _LONGEST_WAIT:
        raise TransientError(
            f"{response.request.url.host}: HTTP 429, asked to wait {wait:g} s", retry_after=wait
        )
