"""Machines of Vast.ai, through its own SDK."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any

from zebfast.fleet.model import Launch, Machine, MachineState, Offer, Spec, is_of_fleet
from zebfast.fleet.provider import (
    NoCredit,
    OfferGone,
    ProviderError,
    SearchQuota,
    Unreachable,
    moment,
    number,
    offer_of,
    price,
)
from zebfast.fleet.vast_client import Absent, RentalRefused, VastClient, scrubbed

_TIMEOUT = 30.0  # seconds without a byte, for every request
_MOST_OFFERS = 200
_MOST_PAGES = 400
_PAGE = 25  # rows; the SDK's own listing asks for as many
_LOADING = (None, "", "created", "loading", "rebooting")
_AS_SAID: dict[str, MachineState] = {
    "running": "running", "stopped": "stopped", "exited": "exited", "offline": "offline"
}  # fmt: skip
Row = dict[str, Any]


class VastProvider:
    """One account of Vast.ai. A host is one of its machines, not their owner.

    Args:
        key: of the account.
        server_url: another address than Vast.ai's own.
        timeout: seconds that a request may go without a byte of an answer.

    Raises:
        ProviderError: the key cannot be one.
        ModuleNotFoundError: the SDK is not installed.
    """

    name = "vast"

    def __init__(
        self, key: str, *, server_url: str | None = None, timeout: float = _TIMEOUT
    ) -> None:
        self._client = VastClient(key, server_url=server_url, timeout=timeout)

    def offers(self, spec: Spec) -> list[Offer]:
        """See Provider. The price of an interruptible offer is ``bid_factor`` times its lowest
        bid; offers whose bid and disk together pass the cap are left out."""
        kind, price = ("bid", "min_bid") if spec.interruptible else ("on-demand", "dph_total")
        query: Row = {
            "num_gpus": {"eq": 1},
            price: {"lte": spec.max_price_per_hour},
            "reliability": {"gte": spec.min_reliability},
            "inet_up": {"gte": spec.min_inet_up},
            "inet_down": {"gte": spec.min_inet_down},
            "cuda_max_good": {"gte": spec.min_cuda},
            "disk_space": {"gte": spec.disk_gb},
        }
        if spec.gpus:
            query["gpu_name"] = {"in": [gpu.replace("_", " ") for gpu in spec.gpus]}
        rows = self._client.call(
            "list offers",
            lambda sdk: sdk.search_offers(
                query=query, type=kind, order=price, limit=_MOST_OFFERS, storage=spec.disk_gb
            ),
        )
        if not isinstance(rows, list):
            raise Unreachable("Vast.ai's list of offers has not the form expected")
        found = [_offer(row, spec) for row in rows if isinstance(row, dict)]
        return sorted(
            (offer for offer in found if offer is not None), key=lambda offer: offer.price_per_hour
        )

    def create(self, offer: Offer, launch: Launch) -> str:
        """See Provider. A machine that Vast.ai made although it refused, as it does when a bid is
        too low, is destroyed again."""
        bid = launch.bid
        if offer.interruptible and bid is None:
            # Without a bid Vast.ai would rent it on demand, at a price that nobody agreed to.
            raise ProviderError(f"offer {offer.id} of Vast.ai is interruptible: expected a bid")
        ask = _number_of(offer.id)
        try:
            answer = self._client.call(
                f"rent offer {offer.id}",
                lambda sdk: sdk.create_instance(
                    id=ask, image=launch.image, disk=launch.disk_gb, env=dict(launch.env),
                    label=launch.label, onstart_cmd=launch.command, bid_price=bid,
                    # With SSH, Vast.ai runs the script on each start, also after a preemption.
                    ssh=True, direct=True,
                    # Else a machine that cannot start now is kept, stopped, and paid for.
                    cancel_unavail=True,
                ),
                again=False,
                secrets=launch.env,
            )  # fmt: skip
        except RentalRefused as refused:
            raise self._undone(refused) from None
        except Absent as error:
            raise OfferGone(f"{error}; take another offer") from None
        made = answer.get("new_contract")
        if made is None:
            raise Unreachable(
                f"Vast.ai did not say which machine it made of offer {offer.id}: look for its label"
            )
        return str(made)

    def _undone(self, refused: RentalRefused) -> ProviderError:
        """End the machine that was made all the same; what its refusal then means."""
        number, cause = refused.machine_id, refused.cause
        try:
            self.destroy(number)
        except ProviderError as error:
            return Unreachable(f"{refused}; machine {number} was made all the same: {error}")
        if isinstance(cause, NoCredit | SearchQuota | Unreachable):
            return cause
        return OfferGone(f"{cause}; the machine that it made all the same is destroyed")

    def machines(self, fleet: str) -> list[Machine]:
        """See Provider. The label is compared here: Vast.ai can filter by whole labels only."""
        found: dict[str, Machine] = {}
        tokens: list[Any] = []
        params: Row = {"order_by": [{"col": "id", "dir": "asc"}], "limit": _PAGE}
        while True:
            page = self._client.call("list machines", lambda sdk: sdk.show_instances_v1(params))
            rows, token = page.get("instances"), page.get("next_token")
            if not isinstance(rows, list) or token in tokens or len(tokens) == _MOST_PAGES:
                raise Unreachable("Vast.ai's list of machines has not the form expected")
            of_rows = [_machine(row, fleet) for row in rows if isinstance(row, dict)]
            found.update({machine.id: machine for machine in of_rows if machine is not None})
            if not token:
                return list(found.values())
            tokens.append(token)
            params["after_token"] = token

    def destroy(self, machine_id: str) -> None:
        """See Provider."""
        number = _number_of(machine_id)
        with suppress(Absent):
            self._client.call(
                f"destroy machine {machine_id}", lambda sdk: sdk.destroy_instance(id=number)
            )

    def logs(self, machine_id: str, *, lines: int) -> str:
        """See Provider. Takes seconds: Vast.ai fetches the log from the machine."""
        number = _number_of(machine_id)
        text = self._client.call(
            f"show the log of machine {machine_id}",
            lambda sdk: sdk.logs(number, tail=str(lines)),
        )
        return text if isinstance(text, str) else ""  # where there is no log yet, it is no text

    def credit(self) -> float | None:
        """See Provider; also None if Vast.ai does not say."""
        user = self._client.call("show the credit", lambda sdk: sdk.show_user())
        return number(user.get("credit"))


def _offer(row: Row, spec: Spec) -> Offer | None:
    """None for a row that cannot be rented as ``spec`` wants: no number, no price, too dear."""
    dollars = price(row.get("min_bid" if spec.interruptible else "dph_total"))
    if row.get("id") is None or dollars is None:
        return None
    extra: float | None = 0.0
    if spec.interruptible:
        # Upwards, rounding errors apart: a bid rounded down could be below the lowest one.
        dollars = math.ceil(dollars * spec.bid_factor * 1e4 - 1e-6) / 1e4
        extra = price(row.get("storage_total_cost") or 0.0)
    if extra is None or dollars + extra > spec.max_price_per_hour:
        return None
    seconds = number(row.get("duration"))
    return offer_of(
        provider="vast",
        id=str(row["id"]),
        gpu=_text(row.get("gpu_name")),
        price_per_hour=dollars,
        n_gpus=int(number(row.get("num_gpus")) or 1),
        host=_text(row.get("machine_id")),
        interruptible=spec.interruptible,
        reliability=number(row.get("reliability2", row.get("reliability"))),
        inet_up=number(row.get("inet_up")),
        inet_down=number(row.get("inet_down")),
        disk_gb=number(row.get("disk_space")),
        cuda=number(row.get("cuda_max_good")),
        hours=None if seconds is None else seconds / 3600,
    )


def _machine(row: Row, fleet: str) -> Machine | None:
    """None for a machine of somebody else. Any field may be null while a machine is made."""
    label = _text(row.get("label"))
    if not is_of_fleet(label, fleet) or row.get("id") is None:
        return None
    host, port = _text(row.get("ssh_host")), _text(row.get("ssh_port"))
    return Machine(
        provider="vast",
        id=str(row["id"]),
        label=label,
        state=_state(row),
        gpu=_text(row.get("gpu_name")),
        host=_text(row.get("machine_id")),
        # What a host says of a start that failed may quote the variables of the machine.
        message=scrubbed(row.get("status_msg"), _env(row.get("extra_env"))),
        price_per_hour=price(row.get("dph_total")),
        started=moment(row.get("start_date")),
        ssh=f"ssh -p {port} root@{host}" if host and port else None,
        interruptible=bool(row.get("is_bid")),
    )


def _state(row: Row) -> MachineState:
    """An interruptible machine that was outbid is meant to be stopped, whatever it is still."""
    if "stopped" in (row.get("intended_status"), row.get("cur_state"), row.get("actual_status")):
        return "stopped"
    actual = row.get("actual_status")
    return "loading" if actual in _LOADING else _AS_SAID.get(str(actual), "unknown")


def _env(value: Any) -> dict[str, str]:
    """Variables of a machine, which a row has as pairs, or null."""
    pairs = value if isinstance(value, list) else []
    return {
        str(pair[0]): str(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2
    }


def _number_of(name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", name):
        raise ProviderError(f"{name!r} is nothing of Vast.ai's: expected a number")
    return int(name)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
