"""Machines of RunPod, through its own client.

What RunPod rents is a GPU type in one of its two clouds, not a named machine: an offer is such a
pair at the lowest price it has free now, and which host it becomes is known only afterwards.
Where the service is, the client itself takes from ``RUNPOD_API_BASE_URL``.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import re
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from zebfast.fleet.market_history import gpu_key
from zebfast.fleet.model import Launch, Machine, MachineState, Offer, Spec, is_of_fleet
from zebfast.fleet.provider import (
    NoCredit,
    OfferGone,
    ProviderError,
    Unreachable,
    number,
    offer_of,
    price,
)

# --- One call of the RunPod client: the key, and what each of its faults means.

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


_CLOUDS = ("community", "secure")
# The client asks for prices one type at a time, and for no balance at all.
_PRICES = """
query prices {
  gpuTypes {
    id
    displayName
    community: lowestPrice(input: {gpuCount: 1, secureCloud: false}) { uninterruptablePrice }
    secure: lowestPrice(input: {gpuCount: 1, secureCloud: true}) { uninterruptablePrice }
  }
}
"""
_CREDIT = "query credit { myself { clientBalance } }"
# RunPod is asked for a list of versions, not for a lowest one.
_CUDA = ("11.8", *(f"12.{minor}" for minor in range(10)), "13.0")
_STATES: dict[str, MachineState] = {
    "CREATED": "loading",
    "RESTARTING": "loading",
    "RUNNING": "running",
    "PAUSED": "stopped",
    "EXITED": "exited",
    "DEAD": "offline",
}
_STARTED = re.compile(r"(?:Rent|Resum|Start)ed\b[^:]*: \w+ (\w+ \d+ \d+ [\d:]+) GMT([+-]\d{4})")


class RunPodProvider:
    """One RunPod account. Only on demand: the client can ask for nothing that is interruptible."""

    name = "runpod"

    def __init__(self, key: str) -> None:
        if not re.fullmatch(r"[!-~]+", key):
            raise ProviderError(
                "RUNPOD_API_KEY has blanks or signs that are in no key: set it anew"
            )
        self._key = key

    def offers(self, spec: Spec) -> list[Offer]:
        """One offer for each GPU type and cloud with a price under the cap, cheapest first.

        RunPod says nothing of a machine before it is rented: bandwidth and CUDA version of an offer
        are the least that ``create`` will ask for.
        """
        if spec.interruptible:
            raise ProviderError(
                "runpod rents on demand only: ask for no interruptible machines, or take vast alone"
            )
        found: list[Offer] = []
        for row in _rows(self._query("list prices", _PRICES).get("gpuTypes"), "list prices"):
            gpu = _wanted(row, spec.gpus)
            for cloud in _CLOUDS:
                dollars = price(_object(row.get(cloud)).get("uninterruptablePrice"))
                if gpu is None or not dollars or dollars > spec.max_price_per_hour:
                    continue
                offer = offer_of(
                    provider=self.name,
                    id=f"{row['id']}/{cloud}",
                    gpu=gpu,
                    price_per_hour=dollars,
                    inet_up=spec.min_inet_up,
                    inet_down=spec.min_inet_down,
                    cuda=spec.min_cuda,
                    many=True,
                )
                found += [] if offer is None else [offer]
        return sorted(found, key=lambda offer: offer.price_per_hour)

    def create(self, offer: Offer, launch: Launch) -> str:
        """Rent one machine of the offer's type; the id of the pod."""
        gpu_type, _, cloud = offer.id.rpartition("/")
        pod = self._ask(
            "rent a pod",
            lambda client: client.create_pod(
                name=quoted(launch.label),
                image_name=quoted(launch.image),
                gpu_type_id=quoted(gpu_type),
                cloud_type=cloud.upper(),
                support_public_ip=False,
                start_ssh=False,
                container_disk_in_gb=math.ceil(launch.disk_gb),
                docker_args=_start(launch.command),
                env={quoted(name): quoted(value) for name, value in launch.env.items()},
                allowed_cuda_versions=_cuda_from(offer.cuda),
                min_download=_whole(offer.inet_down),
                min_upload=_whole(offer.inet_up),
            ),
            secrets=tuple(launch.env.values()),
        )
        pod_id = _text(_object(pod).get("id"))
        if not pod_id:
            raise Unreachable("runpod said nothing of the pod that it was to rent: look by label")
        return pod_id

    def machines(self, fleet: str) -> list[Machine]:
        """All pods of the fleet but those that are terminated: they are gone and cost nothing."""
        pods = self._ask("list pods", lambda client: client.get_pods())
        return [
            self._machine(pod)
            for pod in _rows(pods, "list pods")
            if is_of_fleet(_text(pod.get("name")), fleet)
            and pod.get("desiredStatus") != "TERMINATED"
        ]

    def destroy(self, machine_id: str) -> None:
        """Terminate the pod. (The client's own call takes any answer for a yes.)"""
        self._ask(
            f"terminate pod {machine_id}",
            lambda client: client.api.graphql.run_graphql_query(
                client.api.mutations.pods.generate_pod_terminate_mutation(quoted(machine_id))
            )["data"]["podTerminate"],
            fine="not found",
        )

    def logs(self, machine_id: str, *, lines: int) -> str:
        """Always empty: the client has no call for what a pod printed."""
        return ""

    def credit(self) -> float | None:
        """Dollars left; None where RunPod does not say."""
        myself = _object(self._query("read the balance", _CREDIT).get("myself"))
        return number(myself.get("clientBalance"))

    def _ask(
        self, what: str, call: Callable[[Any], Any], *,
        secrets: tuple[str, ...] = (), fine: str | None = None,
    ) -> Any:  # fmt: skip
        """Answer of one ``call`` of the client, which it is given, with the account's key.

        The client's errors hold the whole question, the environment of a machine in it, and those
        of its connection hold the key. None of them is kept: what is raised has no cause and no
        context.

        Args:
            what: words for "runpod refused to …".
            secrets: values in the question that no sentence may hold; the key is always one.
            fine: a refusal with these words is no fault: the answer is None.

        Raises:
            OfferGone, NoCredit, Unreachable, ProviderError.
        """
        client = _client()
        from requests import RequestException

        with _one_at_a_time:
            # Some of the client's calls take no key and read the one it has.
            before, client.api_key = client.api_key, self._key
            try:
                return call(client)
            except client.error.AuthenticationError:
                problem: ProviderError = _bad_key(what)
            except client.error.QueryError as error:
                said = error.message if isinstance(error.message, str) else ""
                if fine is not None and fine in said.lower():
                    return None
                problem = _refusal(what, said, (self._key, *secrets))
            except RequestException as error:
                kind = type(error).__name__
                problem = Unreachable(f"runpod gave no usable answer to {what} ({kind}): try later")
            except ValueError as error:
                problem = unknown_form(what)
                if str(error).startswith("No GPU found"):  # create_pod looks the type up first
                    problem = OfferGone("runpod has no such GPU type any more: take another offer")
            except (AttributeError, LookupError, TypeError):
                problem = unknown_form(what)
            finally:
                client.api_key = before
        raise problem

    def _query(self, what: str, query: str) -> dict[str, Any]:
        answer = self._ask(what, lambda it: it.api.graphql.run_graphql_query(query)["data"])
        if not isinstance(answer, dict):
            raise unknown_form(what)
        return answer

    def _machine(self, pod: dict[str, Any]) -> Machine:
        status = pod.get("desiredStatus")
        state = _STATES.get(status, "unknown") if isinstance(status, str) else "loading"
        if state == "running" and not pod.get("runtime"):
            state = "loading"  # rented, and its container not up
        change = " ".join(_text(pod.get("lastStatusChange")).split())[:200]
        return Machine(
            provider=self.name,
            id=pod["id"],
            label=pod["name"],
            state=state,
            gpu=gpu_name(_text(_object(pod.get("machine")).get("gpuDisplayName"))),
            host=_text(pod.get("machineId")),
            message=change,
            price_per_hour=price(pod.get("costPerHr")),
            started=_started(change),
        )


def gpu_name(text: str) -> str:
    """A GPU as people write it: ``NVIDIA GeForce RTX 3060`` is an ``RTX 3060``."""
    return re.sub(r"^(NVIDIA |AMD )?(GeForce )?", "", text.strip())


def _wanted(row: dict[str, Any], gpus: tuple[str, ...]) -> str | None:
    """The row's GPU as the fleet calls it; None if it is not one of ``gpus``."""
    shown = gpu_name(_text(row.get("displayName")) or row["id"])
    keys = {gpu_key(row["id"]), gpu_key(shown)}
    return next((gpu for gpu in gpus if gpu_key(gpu) in keys), None) if gpus else shown


def _start(script: str) -> str:
    """The pod's command, which runs ``script`` as its first process.

    RunPod splits the command by its own rules and the client puts it into a query as it is: so no
    sign of the script is in it. Not through a pipe: the worker must get the signals.
    """
    coded = base64.b64encode(script.encode()).decode()
    return f"bash -c 'exec bash <(echo {coded}|base64 -d)'"


def _cuda_from(lowest: float | None) -> list[str] | None:
    if lowest is None:
        return None
    return [name for name in _CUDA if float(name) >= lowest] or [f"{lowest:.1f}"]


def _started(change: str) -> float | None:
    """Time in ``Rented by User: Sat Nov 21 2026 18:40:28 GMT+0000 (…)``, if it is that."""
    found = _STARTED.match(change)
    if not found:
        return None
    try:
        return datetime.strptime(f"{found[1]} {found[2]}", "%b %d %Y %H:%M:%S %z").timestamp()
    except ValueError:
        return None


def _rows(found: Any, what: str) -> list[dict[str, Any]]:
    """The objects of a list that have an id. No list at all is no answer: nothing may be missed."""
    if not isinstance(found, list):
        raise unknown_form(what)
    return [row for row in found if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: float | None) -> int | None:
    return None if value is None else math.ceil(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
