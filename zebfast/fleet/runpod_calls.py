"""One call of the RunPod client: the key, and what each of its faults means."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from zebfast.fleet.provider import NoCredit, OfferGone, ProviderError, Unreachable

_NO_ROOM = re.compile(
    r"no (longer any )?instances|not have the resources|not enough free", re.IGNORECASE
)
_NO_MONEY = re.compile(r"\bbalance\b|insufficient funds|spend limit", re.IGNORECASE)
_NOT_ALLOWED = re.compile(r"unauthori[sz]ed|not authori[sz]ed|forbidden|permission", re.IGNORECASE)
_LATER = re.compile(
    r"went wrong|try again|internal server|time(d )?out|too many|rate limit|unavailable|gateway",
    re.IGNORECASE,
)
_one_at_a_time = threading.Lock()  # the client has one key in a process


def ask(
    key: str,
    what: str,
    call: Callable[[Any], Any],
    *,
    secrets: tuple[str, ...] = (),
    fine: str | None = None,
) -> Any:
    """Answer of one ``call`` of the client, which it is given.

    The client's errors hold the whole question, the environment of a machine in it, and those of
    its connection hold the key. None of them is kept: what is raised has no cause and no context.

    Args:
        what: words for "runpod refused to …".
        secrets: values in the question that no sentence may hold; the key is always one.
        fine: a refusal with these words is no fault: the answer is None.

    Raises:
        OfferGone, NoCredit, Unreachable, ProviderError.
    """
    client = _client()
    from requests import RequestException

    with _key_set(client, key):
        try:
            return call(client)
        except client.error.AuthenticationError:
            problem: ProviderError = _bad_key(what)
        except client.error.QueryError as error:
            said = error.message if isinstance(error.message, str) else ""
            if fine is not None and fine in said.lower():
                return None
            problem = _refusal(what, said, (key, *secrets))
        except RequestException as error:
            kind = type(error).__name__
            problem = Unreachable(f"runpod gave no usable answer to {what} ({kind}): try later")
        except ValueError as error:
            problem = unknown_form(what)
            if str(error).startswith("No GPU found"):  # create_pod looks the type up first
                problem = OfferGone("runpod has no such GPU type any more: take another offer")
        except (AttributeError, LookupError, TypeError):
            problem = unknown_form(what)
    raise problem


def unknown_form(what: str) -> Unreachable:
    """The error for an answer that is not what was asked for, be it empty or cut short."""
    return Unreachable(f"runpod answered in an unknown form when asked to {what}: try later")


def quoted(text: str) -> str:
    """As it stands between the marks of a GraphQL string; the client escapes nothing."""
    return json.dumps(text)[1:-1]


def _client() -> Any:
    """The client, which sets up logging for the whole process when it is imported: undone here."""
    root = logging.getLogger()
    handlers, level, broken = list(root.handlers), root.level, False
    try:
        import runpod
    except KeyError:
        broken = True
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    if broken:
        raise ProviderError("~/.runpod/config.toml has a profile without api_key: add or remove it")
    return runpod


@contextmanager
def _key_set(client: Any, key: str) -> Iterator[None]:
    """The client with this key. Some of its calls take none and read the one it has."""
    with _one_at_a_time:
        before = client.api_key
        client.api_key = key
        try:
            yield
        finally:
            client.api_key = before


def _refusal(what: str, said: str, secrets: tuple[str, ...]) -> ProviderError:
    """The error for a refusal in RunPod's own words."""
    if _NO_ROOM.search(said):
        return OfferGone("runpod has no free machine of this type now: take another offer")
    if _NO_MONEY.search(said):
        return NoCredit("the balance of the runpod account is too low: add to it")
    if _NOT_ALLOWED.search(said):
        return _bad_key(what)
    if not said or _LATER.search(said):
        return Unreachable(f"runpod could not {what} just now: try later")
    for secret in sorted(secrets, key=len, reverse=True):
        for form in (secret, quoted(secret)):
            said = said.replace(form, "***") if len(form) > 3 else said
    # A complaint about the question itself quotes it from the first brace or quotation mark on.
    shown = " ".join(re.split(r"[{\"]", said)[0].split())[:160]
    return ProviderError(f"runpod refused to {what} ({shown}): see the account on its console")


def _bad_key(what: str) -> ProviderError:
    return ProviderError(
        f"runpod refuses the key to {what}: set RUNPOD_API_KEY to one that may read and write pods"
    )
