"""A loopback Vast.ai: a market of offers, rented machines with states, logs, an account's credit.

Serves what the real client asks for and can be told to fail. Runs as threads of a test; everything
may be read and changed at any time, under ``lock`` where several things must fit together::

    with VastServer() as server:
        VastProvider(KEY, server_url=server.url)      # or VAST_URL=server.url for a program
        server.set_state(server.newest(), "running")
        server.faults.append(Fault("lose", match="PUT /api/v0/asks/"))
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any

from tests.servers.loopback import Service
from tests.servers.vast_http import KEY, Fault, Request, VastHandler
from tests.servers.vast_rows import RUNNING, Answer, Row, instance_row, matches, offer_row, refuse

__all__ = ["KEY", "Fault", "Request", "VastServer", "offer_row"]


class VastServer(Service):
    """Use as a context.

    Attributes:
        offers: what the market lists; one that is rented is left out while its machine lives.
        instances: rented machines by number; rows as the client gets them.
        requests: what arrived, in order; ``searches`` and ``rents`` count two kinds of them.
        faults: the first that matches a request spoils it.
        credit: dollars; nothing can be rented without.
        searches_left: of the daily quota, None = no end; ``quota_reset`` is when it begins anew.
        looks_until_running: a new machine runs from that listing on; None = it loads for ever.
        page: most rows in one listing.
        logs: by machine; ``log_polls`` requests for one are answered "not yet" before it is there.
    """

    def __init__(self, *, n_offers: int = 3) -> None:
        self.offers = [offer_row(1001 + i) for i in range(n_offers)]
        self.instances: dict[int, Row] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.credit: float | None = 12.5
        self.searches_left: int | None = None
        self.quota_reset: float | None = None
        self.looks_until_running: int | None = None
        self.page = 25
        self.logs: dict[int, str] = {}
        self.log_polls = 0
        self.lock = threading.RLock()
        self._numbers = iter(range(9001, 10**9))
        self._asks: dict[int, int] = {}
        self._looks: dict[int, int] = {}
        self.listen(VastHandler)

    # What a test does to the machines.

    def newest(self) -> int:
        """Number of the machine that was rented last."""
        return max(self.instances)

    def labels(self) -> list[str]:
        """Labels of all machines that are paid for, the oldest first."""
        with self.lock:
            return [str(self.instances[number]["label"]) for number in sorted(self.instances)]

    def set_state(self, number: int, state: str | None, message: str = "") -> None:
        """Let a machine be ``running``, ``loading``, ``exited``, ``offline``, ... from now on."""
        with self.lock:
            row = self.instances[number]
            row.update(actual_status=state, status_msg=message)
            if state == "running":
                row.update(RUNNING, start_date=row["start_date"] or time.time())

    def outbid(self, number: int) -> None:
        """Somebody bids more: the machine is stopped without notice and kept."""
        with self.lock:
            stopped = {"actual_status": "exited", "cur_state": "stopped", "next_state": "stopped"}
            self.instances[number].update(stopped, intended_status="stopped")

    def vanish(self, number: int) -> None:
        """The machine is gone, as if somebody had destroyed it elsewhere."""
        with self.lock:
            del self.instances[number]

    def add(self, label: str | None, **changes: Any) -> int:
        """A machine that somebody else rented, or that was forgotten; its number."""
        with self.lock:
            number = next(self._numbers)
            self.instances[number] = instance_row(number, label, offer_row(number), {}, **changes)
            return number

    def sent(self, method: str, path: str) -> list[Request]:
        """Requests of that method whose path has ``path`` in it."""
        with self.lock:
            return [r for r in self.requests if r.method == method and path in r.path]

    @property
    def searches(self) -> int:
        return len(self.sent("POST", "/bundles/"))

    @property
    def rents(self) -> int:
        return len(self.sent("PUT", "/asks/"))

    # What the routes do.

    def due_fault(self, what: str) -> Fault | None:
        """The fault that this request is to meet."""
        with self.lock:
            for fault in self.faults:
                if fault.times == 0 or not re.search(fault.match, what):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def answer(self, request: Request) -> Answer:
        with self.lock:
            for method, pattern, route in _ROUTES:
                found = re.fullmatch(pattern, request.path)
                if found and method == request.method:
                    answer: Answer = route(self, request, *map(int, found.groups()))
                    return answer
        return refuse(404, "no_route", f"nothing at {request.method} {request.path}")

    def _search(self, request: Request) -> Answer:
        if self.searches_left is not None:
            if self.searches_left <= 0:
                reset = (
                    {} if self.quota_reset is None else {"X-RateLimit-Reset": str(self.quota_reset)}
                )
                body = {
                    "success": False,
                    "error": "search_quota_exceeded",
                    "msg": "none left",
                }
                return 429, body, reset
            self.searches_left -= 1
        asked = dict(request.body)
        order, limit = asked.pop("order", []), asked.pop("limit", 64)
        taken = {self._asks[n] for n in self.instances if n in self._asks}
        rows = [r for r in self.offers if r["id"] not in taken and matches(r, asked)]
        for column, direction in reversed(order):
            rows.sort(key=lambda row, c=column: row.get(c) or 0, reverse=direction == "desc")
        return 200, {"success": True, "offers": rows[:limit]}, {}

    def _rent(self, request: Request, ask: int) -> Answer:
        offer = next((o for o in self.offers if o["id"] == ask), None)
        if offer is None or ask in {self._asks.get(n) for n in self.instances}:
            return refuse(400, "no_such_ask", f"error 404/3603: no_such_ask {ask} not available")
        if self.credit is None or self.credit <= 0:
            return refuse(400, "insufficient_credit", "Your account lacks credit; add some.")
        asked, number = request.body, next(self._numbers)
        row = instance_row(number, asked.get("label"), offer, asked)
        self.instances[number], self._asks[number] = row, ask
        price = asked.get("price")
        if price is not None and price < (offer["min_bid"] or 0):
            row.update(cur_state="stopped", next_state="stopped", intended_status="stopped")
            body = {
                "success": False,
                "error": "bid_too_low",
                "msg": "the bid is too low",
            }
            return 400, {**body, "new_contract": number}, {}
        return 200, {"success": True, "new_contract": number, "instance_api_key": "machine-key"}, {}

    def _list(self, request: Request) -> Answer:
        after = int(json.loads(request.query.get("after_token", "0")))
        limit = min(int(request.query.get("limit", "25")), self.page)
        later = sorted(number for number in self.instances if number > after)
        for number in later[:limit]:
            self._looks[number] = self._looks.get(number, 0) + 1
            loads = self.instances[number]["actual_status"] == "loading"
            until = self.looks_until_running
            if loads and until is not None and self._looks[number] >= until:
                self.set_state(number, "running")
        rows = [self.instances[number] for number in later[:limit]]
        token = str(later[limit - 1]) if len(later) > limit else None
        body = {"success": True, "instances": rows, "total_instances": len(self.instances)}
        return 200, {**body, "next_token": token}, {}

    def _destroy(self, request: Request, number: int) -> Answer:
        if self.instances.pop(number, None) is None:
            return refuse(404, "no_such_instance", f"Instance {number} not found")
        return 200, {"success": True}, {}

    def _ask_logs(self, request: Request, number: int) -> Answer:
        if number not in self.instances:
            return refuse(404, "no_such_instance", f"Instance {number} not found")
        tail = int(request.body.get("tail") or 1000)
        return 200, {"success": True, "result_url": f"{self.url}/logs/{number}/{tail}"}, {}

    def _read_logs(self, request: Request, number: int, tail: int) -> Answer:
        if len(self.sent("GET", request.path)) <= self.log_polls:
            return 403, b"<Error>AccessDenied</Error>", {}
        lines = self.logs.get(number, "").splitlines(keepends=True)
        return 200, "".join(lines[-tail:]).encode(), {}

    def _user(self, request: Request) -> Answer:
        return 200, {"id": 1, "email": "a@b", "balance": 0.0, "credit": self.credit}, {}


_ROUTES = [
    ("POST", r"/api/v0/bundles/", VastServer._search),
    ("PUT", r"/api/v0/asks/(\d+)/", VastServer._rent),
    ("GET", r"/api/v1/instances/", VastServer._list),
    ("DELETE", r"/api/v0/instances/(\d+)/", VastServer._destroy),
    ("PUT", r"/api/v0/instances/request_logs/(\d+)/", VastServer._ask_logs),
    ("GET", r"/logs/(\d+)/(\d+)", VastServer._read_logs),
    ("GET", r"/api/v0/users/current", VastServer._user),
]
