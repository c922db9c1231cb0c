"""Rows of the loopback Vast.ai: offers, rented machines, and what an answer looks like."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
Answer = tuple[int, Any, dict[str, str]]


def offer_row(number: int, **changes: Any) -> Row:
    """An offer as the market lists it; by default the higher its number, the dearer."""
    row = {
        "id": number, "ask_contract_id": number, "machine_id": 10_000 + number, "host_id": 77,
        "gpu_name": "RTX 3060", "num_gpus": 1, "gpu_ram": 12288, "dph_total": 0.04 + number / 1e5,
        "min_bid": 0.02 + number / 1e5, "storage_total_cost": 0.002, "storage_cost": 0.1,
        "reliability": 0.99, "reliability2": 0.99, "inet_up": 200.0, "inet_down": 500.0,
        "disk_space": 100.0, "cuda_max_good": 12.8, "driver_version": "570.86", "dlperf": 10.0,
        "duration": 864_000.0, "geolocation": "Sweden, SE", "hosting_type": 0,
        "verification": "verified", "verified": True, "external": False, "rentable": True,
        "rented": False,
    }  # fmt: skip
    return {**row, **changes}


#: What becomes known of a machine when it runs.
RUNNING = {
    "cur_state": "running", "next_state": "running", "intended_status": "running",
    "ssh_host": "ssh5.vast.ai", "ssh_port": 22022, "public_ipaddr": "203.0.113.9",
}  # fmt: skip


def instance_row(number: int, label: str | None, offer: Row, asked: Row, **changes: Any) -> Row:
    """A machine that has just been rented: what is learnt later is null."""
    price = asked.get("price")
    storage = offer["storage_total_cost"] or 0.0
    row = {
        "id": number, "label": label, "machine_id": offer["machine_id"], "host_id": 77,
        "gpu_name": offer["gpu_name"], "num_gpus": 1, "actual_status": "loading",
        "cur_state": "running", "next_state": "running", "intended_status": "running",
        "status_msg": None, "dph_total": offer["dph_total"] if price is None else price + storage,
        "is_bid": price is not None, "start_date": None, "end_date": None, "ssh_host": None,
        "ssh_port": None, "public_ipaddr": None, "image_uuid": asked.get("image"),
        "image_runtype": asked.get("runtype"), "onstart": asked.get("onstart"),
        "extra_env": [list(pair) for pair in (asked.get("env") or {}).items()],
        "disk_space": asked.get("disk"), "gpu_util": None, "ports": None,
    }  # fmt: skip
    return {**row, **changes}


def refuse(status: int, error: str, message: str) -> Answer:
    """An error as the service words it."""
    return status, {"success": False, "error": error, "msg": message}, {}


_TESTS = {
    "eq": lambda have, want: have == want,
    "in": lambda have, want: have in want,
    "gte": lambda have, want: have >= want,
    "lte": lambda have, want: have <= want,
}


def matches(offer: Row, asked: Row) -> bool:
    """Does an offer meet every condition? A field that is null or missing meets none."""
    conditions = {name: tests for name, tests in asked.items() if isinstance(tests, dict)}
    for name, tests in conditions.items():
        have = offer.get(name)
        for test, want in tests.items():
            if have is None or not _TESTS[test](have, want):
                return False
    return True


def without(answer: Answer, fields: tuple[str, ...]) -> Answer:
    """The answer with these fields null in every row, or in itself where it has no rows."""
    status, body, headers = answer
    nulls = dict.fromkeys(fields)
    for rows in ("instances", "offers"):
        if rows in body:
            return status, {**body, rows: [{**row, **nulls} for row in body[rows]]}, headers
    return status, {**body, **nulls}, headers
