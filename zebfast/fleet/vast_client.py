"""Calls of the ``vastai`` SDK: bounded in time, every answer looked at, every fault one sentence.

The SDK raises on HTTP errors only, and forgets what the answer said; Vast.ai also puts errors into
answers of status 200. So the SDK's HTTP client is wrapped, and each answer judged as it arrives.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from zebfast.exchange.hub.client import asked_wait
from zebfast.fleet.provider import NoCredit, ProviderError, SearchQuota, Unreachable

T = TypeVar("T")

DEFAULT_URL = "https://console.vast.ai"
_DAY = 86_400
_PASSING = frozenset({408, 425, 429})
_NO_CREDIT = re.compile(
    r"(lacks?|insufficient|not enough|no|out of)[ _-](account[ _-])?(credit|balance|funds)", re.I
)
_ABSENT = re.compile(r"no_such_|not[ _]found", re.I)
_BAD_KEY = re.compile(r"auth_error|invalid (user|api)[ _]key|unauthori[sz]ed", re.I)


class Absent(ProviderError):
    """There is no such offer or machine (any more)."""


class RentalRefused(ProviderError):
    """Vast.ai answered an error to a request to rent, but made the machine: it is paid for."""

    def __init__(self, cause: ProviderError, machine_id: str) -> None:
        super().__init__(str(cause))
        self.cause, self.machine_id = cause, machine_id


class VastClient:
    """The SDK for one account."""

    def __init__(self, key: str, *, server_url: str | None, timeout: float) -> None:
        key = key.strip()
        if not re.fullmatch(r"[!-~]+", key):
            raise ProviderError(
                "the key of Vast.ai cannot be one: set VAST_API_KEY to the account's key, "
                "letters and digits without spaces"
            )
        url = (server_url or DEFAULT_URL).rstrip("/")
        # By "may be sent again". To the SDK this means one attempt; 0 would mean none.
        self._sdks = {n > 1: _open(key, url, attempts=n, timeout=timeout) for n in (3, 1)}
        self._key = key

    def call(
        self, doing: str, function: Callable[[Any], T], *,
        again: bool = True, secrets: Mapping[str, str] | None = None,
    ) -> T:  # fmt: skip
        """``function(sdk)``; ``doing`` completes "Vast.ai refuses to ..." in errors.
        Nothing but the SDK may run in ``function``: what it raises counts as Vast.ai's fault.

        Args:
            again: a request may be sent several times.
            secrets: values that stay unsaid; the key always does.

        Raises:
            ProviderError and its kinds, without a secret in them.
        """
        hide = {"key": self._key, **(secrets or {})}
        # "from None": what the libraries raise may quote headers and signed addresses.
        try:
            return function(self._sdks[again])
        except _Refused as refused:
            raise _explain(refused, doing, secrets=hide) from None
        except Exception as error:
            raise _explain_fault(error, doing, hide) from None


def scrubbed(text: object, secrets: Mapping[str, str]) -> str:
    """``text`` on one line, not too long, with the values of ``secrets`` made unreadable."""
    line = " ".join(str(text or "").split())
    for value in sorted(secrets.values(), key=len, reverse=True):
        if len(value) >= 8:  # shorter ones are flags and numbers, and would garble the sentence
            line = line.replace(value, "***")
    return line[:300]


class _Refused(Exception):
    """An answer that is an error: its status, headers and JSON (empty where it had none).

    ``garbled``: it is none of Vast.ai's own.
    """

    def __init__(self, response: Any, body: dict[str, Any] | None) -> None:
        super().__init__(response.status_code)
        self.status, self.headers = int(response.status_code), response.headers
        self.body: dict[str, Any] = body or {}
        self.garbled = body is None


class _Judged:
    """The SDK's HTTP client, but an answer that is an error raises ``_Refused``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self._client, verb)
        return lambda *args, **kwargs: _judge(method(*args, **kwargs))


def _judge(response: Any) -> Any:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _Refused(response, None)
    if response.status_code >= 400 or body.get("success") is False or body.get("error"):
        raise _Refused(response, body)
    return response


def _open(key: str, server_url: str, *, attempts: int, timeout: float) -> Any:
    from vastai import VastAI

    sdk = VastAI(api_key=key, server_url=server_url, retry=attempts)
    sdk.client.timeout = timeout
    sdk.client = _Judged(sdk.client)
    return sdk


def _explain(refused: _Refused, doing: str, *, secrets: Mapping[str, str]) -> ProviderError:
    """What an answer that is an error means."""
    body, status = refused.body, refused.status
    said = f"{body.get('error') or ''} {body.get('msg') or ''}"
    text = f"HTTP {status}, {scrubbed(said, secrets) or 'without a word'}"
    cause = _meaning(refused, said, f"Vast.ai refuses to {doing} ({text})")
    made = body.get("new_contract")
    return cause if made is None else RentalRefused(cause, str(made))


def _meaning(refused: _Refused, said: str, sentence: str) -> ProviderError:
    status, error = refused.status, refused.body.get("error")
    if error == "search_quota_exceeded":
        until = _quota_reset(refused.headers, time.time())
        at = time.strftime("%H:%M UTC", time.gmtime(until))
        return SearchQuota(f"{sentence}: the day's searches are used up until {at}", until=until)
    if status == 402 or _NO_CREDIT.search(said):
        return NoCredit(f"{sentence}: add credit to the account")
    if status in (401, 403) or _BAD_KEY.search(said):
        return ProviderError(
            f"{sentence}: set VAST_API_KEY to a key of the account that may search and rent"
        )
    if refused.garbled or status in _PASSING or status >= 500:
        wait = asked_wait(refused.headers)
        return Unreachable(f"{sentence}: try again later", retry_after=wait)
    # Only now: a page of somebody else's at a wrong address is no word about a machine.
    if status in (404, 410) or _ABSENT.search(said):
        return Absent(f"{sentence}: it is not there (any more), see what is")
    return ProviderError(f"{sentence}: see the account at https://cloud.vast.ai/")


def _quota_reset(headers: Mapping[str, str], now: float) -> float:
    """When searches are allowed again: as the answer says, else at the next midnight UTC."""
    try:
        said = float(headers["X-RateLimit-Reset"])
    except (KeyError, ValueError):
        said = 0.0
    midnight = (now // _DAY + 1) * _DAY
    # More than a day ahead is no time of day's quota, and a fleet must not wait for it.
    return said if now < said <= now + _DAY else midnight


def _explain_fault(error: Exception, doing: str, secrets: Mapping[str, str]) -> ProviderError:
    """Faults below HTTP, and answers that the SDK makes no sense of.

    What the former say is left out: it holds addresses, those of logs with a signature.
    """
    from requests import exceptions

    kind = type(error).__name__
    address = (exceptions.InvalidURL, exceptions.MissingSchema, exceptions.InvalidSchema)
    if isinstance(error, address):
        return ProviderError(
            f"Vast.ai cannot be asked to {doing} ({kind}): set VAST_URL to an address like "
            f"{DEFAULT_URL}, or to nothing"
        )
    if isinstance(error, exceptions.RequestException | OSError):  # TimeoutError is an OSError
        return Unreachable(f"Vast.ai did not answer to {doing} ({kind}): try again later")
    reason = scrubbed(f"{kind}: {error}", secrets)
    return Unreachable(f"Vast.ai's answer to {doing} has not the form expected ({reason})")
