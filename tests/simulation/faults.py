"""What goes wrong: kinds of faults, each at a time and with particulars that chance gives it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.disks import Trouble

if TYPE_CHECKING:
    from tests.simulation.world import Role, World

MINUTE, HOUR = 60.0, 3600.0
_PASSING = (errno.ESTALE, errno.EIO, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT)
_WRITES = frozenset({"open", "write", "sync", "rename", "unlink"})
_ALL = _WRITES | {"read", "list"}


def plan(world: World) -> None:
    """Draw the faults of a run, and when they come."""
    rng = world.rng
    kinds = [kind for kind, share in KINDS.items() for _ in range(share)]
    world.disks.pause = rng.choice((0.0, 0.01, 0.05))
    drawn = [rng.choice(kinds) for _ in range(world.n_faults)]
    world.disks.loses_power = power_loss in drawn
    for kind in drawn:
        at = rng.uniform(0.2 * HOUR, world.hours * HOUR)
        world.kernel.at(at, partial(happen, world, kind))


def happen(world: World, kind: Callable[[World], str | None]) -> None:
    told = kind(world)
    while told is None:  # there is nothing of that kind: another comes instead
        kind = world.rng.choice(list(KINDS))
        told = kind(world)
    world.faults[kind.__name__] += 1
    world.log(f"FAULT {kind.__name__}: {told}")


def kill_learner(world: World) -> str | None:
    return _kill(world, world.learner)


def kill_worker(world: World) -> str | None:
    return _kill(world, world.rng.choice(world.workers)) if world.workers else None


def _kill(world: World, role: Role) -> str | None:
    """At the n-th operation of its from now on; where it does none for long, then."""
    process = role.process
    if process is None or not role.runs:
        return None
    n = world.rng.randint(0, 60)
    world.disks.die_at[process] = n
    world.kernel.at(world.kernel.now + 2 * HOUR, partial(world.kernel.kill, process))
    return f"{process.name} at its operation {n} from now"


def disks(world: World) -> list[str]:
    """Those that matter, the more the oftener."""
    own = [world.learner.host.name, *(role.host.name for role in world.workers)]
    return own if world.on_hub else ["shared", "shared", "shared", *own]


def passing_fault(world: World) -> str | None:
    """A disk does not do what it is asked, for seconds or minutes."""
    rng = world.rng
    error = rng.choice(_PASSING)
    disk = rng.choice(disks(world))
    seconds = rng.choice((5.0, 60.0, 900.0))
    kinds = frozenset(rng.sample(sorted(_ALL), rng.randint(1, len(_ALL))))
    share = rng.choice((0.05, 0.5, 1.0))
    world.disks.troubles.append(Trouble(disk, error, world.kernel.now + seconds, kinds, share))
    often = f"{share:.0%} of {len(kinds)} kinds"
    return f"{errno.errorcode[error]} on {disk} for {seconds:.0f} s ({often})"


def full_disk(world: World) -> str | None:
    rng = world.rng
    disk = rng.choice(
        ["shared", world.learner.host.name, world.rng.choice(world.workers).host.name]
    )
    seconds = rng.uniform(60, 2 * HOUR)
    kinds = frozenset({"open", "write"})
    world.disks.troubles.append(Trouble(disk, errno.ENOSPC, world.kernel.now + seconds, kinds))
    return f"{disk} is full for {seconds:.0f} s"


def power_loss(world: World) -> str | None:
    """A machine loses its power, or the one that has the shared disk, while the others live."""
    rng = world.rng
    disk = rng.choice(
        ["shared", world.learner.host.name, world.rng.choice(world.workers).host.name]
    )
    if disk == "shared":
        folder = world.examples
        before = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
        for role in world.roles:
            if role.process is not None:
                world.kernel.kill(role.process)
        n = world.disks.lose_power(disk)
        world.checks.taken_back(before)
        return f"the shared disk and all that use it ({n} changes lost)"
    world.reboot(world.hosts[disk])
    return f"{disk} ({world.disks.lose_power(disk)} changes lost)"


def clock_set(world: World) -> str | None:
    """Somebody corrects a clock, or does the contrary."""
    rng = world.rng
    host = rng.choice(sorted(world.hosts))
    before = world.hosts[host].skew
    skew = rng.choice((0.0, rng.uniform(-7200, 7200), rng.uniform(-2e5, 2e5)))
    world.hosts[host].skew = skew
    return f"{host} is {skew:+.0f} s off, {before:+.0f} s before"


def move_learner(world: World) -> str | None:
    """The learner goes on on another machine, with the files of the first or without them."""
    learner, rng = world.learner, world.rng
    old = learner.host
    new = world.hosts["l2" if old.name == "l1" else "l1"]
    if learner.process is not None:
        world.kernel.kill(learner.process)
    with_disk = rng.random() < 0.5
    target = world.root / new.name
    shutil.rmtree(target)
    if with_disk:
        shutil.copytree(world.root / old.name, target)
    else:
        os.mkdir(target)
    learner.host = new
    world.kernel.at(world.kernel.now + rng.uniform(1, 1800), partial(world.start, learner))
    return f"from {old.name} to {new.name}, {'with' if with_disk else 'without'} its files"


def twin_learner(world: World) -> str | None:
    """A copy of the learner's machine is started beside it, and lives for a while."""
    from tests.simulation.world import Role

    learner, rng = world.learner, world.rng
    host = world.hosts["l2" if learner.host.name == "l1" else "l1"]
    target = world.root / host.name
    shutil.rmtree(target)
    shutil.copytree(world.root / learner.host.name, target)
    twin = Role("twin", host, learner.main, wanted=False)
    world.extras.append(twin)
    seconds = rng.uniform(600, 6 * HOUR)

    def end() -> None:
        if twin.process is not None:
            world.kernel.kill(twin.process)

    twin.wanted = True
    world.start(twin)
    twin.wanted = False
    world.kernel.at(world.kernel.now + seconds, end)
    return f"on {host.name} for at most {seconds:.0f} s"


def twin_worker(world: World) -> str | None:
    """A worker's id is used a second time, on another machine."""
    from tests.simulation.world import Role

    worker, rng = world.rng.choice(world.workers), world.rng
    host = world.hosts[rng.choice([name for name in world.hosts if name != worker.host.name])]
    twin = Role(f"twin-{worker.name}", host, worker.main)
    world.extras.append(twin)
    world.start(twin)
    twin.wanted = False
    seconds = rng.uniform(600, 2 * HOUR)

    def end() -> None:
        if twin.process is not None:
            world.kernel.kill(twin.process)

    world.kernel.at(world.kernel.now + seconds, end)
    return f"{worker.name} on {host.name}, too, for at most {seconds:.0f} s"


def delivered_twice(world: World) -> str | None:
    """A file comes again, as it does when an upload was repeated."""
    content = world.checks.content
    if not content:
        return None
    name = list(content)[-world.rng.randint(1, min(len(content), 3))]
    if name not in world.checks.there:
        return None
    was_there = name in world.example_names()
    world.put_example(name, content[name])
    return f"{name}{'' if was_there else ', which had been deleted'}"


def odd_file(world: World) -> str | None:
    """Files appear that are no examples, or damaged ones, or those of another run."""
    rng, content = world.rng, world.checks.content
    name = f"stranger_{int(world.epoch())}_{rng.getrandbits(32):08x}.safetensors"
    kind = rng.choice(("empty", "noise", "cut", "foreign"))
    data = b""
    if kind == "noise":
        data = rng.randbytes(300)
    elif content:
        whole = content[list(content)[-1]]
        data = whole[: rng.randrange(len(whole))]
        if kind == "foreign":
            entry, stem = b'\\"weights_name\\": \\"', world.namespace.stem.encode()
            data = whole.replace(entry + stem, entry + b"x" * len(stem))
    world.put_example(name, data)
    return f"{name} ({kind}, {len(data)} bytes)"


def far_away(world: World) -> str | None:
    """The mirror cannot be reached, or its answers are lost."""
    rng = world.rng
    seconds = rng.uniform(60, 3 * HOUR)
    if rng.random() < 0.5:
        world.far.away_until = world.kernel.now + seconds
        return f"away for {seconds:.0f} s"
    world.far.loses_replies = 0.3
    world.kernel.at(world.kernel.now + seconds, partial(setattr, world.far, "loses_replies", 0.0))
    return f"answers are lost for {seconds:.0f} s"


def lost_worker(world: World) -> str | None:
    """A worker's machine is gone with all that is on it; another takes its place and name."""
    role = world.rng.choice(world.workers)
    if not world.on_hub:
        return None
    world.reboot(role.host)
    shutil.rmtree(world.root / role.host.name)
    os.mkdir(world.root / role.host.name)
    return role.host.name


def network(world: World) -> str | None:
    """The Hub does not answer one machine or all, or its answers are lost, or it is overloaded."""
    rng, hub = world.rng, world.hub
    if not world.on_hub:
        return far_away(world)
    seconds = rng.choice((rng.uniform(10, 600), rng.uniform(600, 3 * HOUR)))
    kind = rng.choice(("away", "away", "loses", "fails"))
    if kind == "away":
        names = rng.choice((sorted(world.hosts), [rng.choice(sorted(world.hosts))]))
        hub.away |= dict.fromkeys(names, world.kernel.now + seconds)
        return f"{', '.join(names)} without the Hub for {seconds:.0f} s"
    setattr(hub, kind, rng.choice((0.1, 0.5)))
    world.kernel.at(world.kernel.now + seconds, partial(setattr, hub, kind, 0.0))
    return f"the Hub {kind} for {seconds:.0f} s"


def kill_fleet(world: World) -> str | None:
    return None if world.fleet is None else _kill(world, world.fleet)


def machine_dies(world: World) -> str | None:
    """A rented machine stops, and is listed as that or not at all."""
    alive = world.market.alive()
    if not alive:
        return None
    rental, gone = world.rng.choice(alive), world.rng.random() < 0.5
    world.market.die(rental, gone=gone)
    return f"{rental.id}{' is gone' if gone else ' is down'}"


def price_change(world: World) -> str | None:
    alive = world.market.alive()
    if not alive:
        return None
    rental, price = world.rng.choice(alive), round(world.rng.uniform(0.02, 0.4), 3)
    world.market.reprice(rental, price)
    return f"{rental.id} costs ${price}/h"


def provider_trouble(world: World) -> str | None:
    """The provider does not answer, loses answers, lists machines late, or leaves some out."""
    if world.fleet is None:
        return None
    rng, market = world.rng, world.market
    seconds = rng.uniform(600, 2 * HOUR)
    kind = rng.choice(("away", "loses", "lag", "short"))
    if kind == "away":
        market.away_until = world.kernel.now + seconds
        return f"away for {seconds:.0f} s"
    setattr(market, kind, 100.0 if kind == "lag" else 0.4)
    world.kernel.at(world.kernel.now + seconds, partial(setattr, market, kind, 0.0))
    return f"{kind} for {seconds:.0f} s"


#: How often each comes, in proportion.
KINDS: dict[Callable[[World], str | None], int] = {
    kill_learner: 6,
    kill_worker: 4,
    passing_fault: 4,
    full_disk: 2,
    power_loss: 2,
    clock_set: 3,
    move_learner: 2,
    twin_learner: 1,
    twin_worker: 1,
    delivered_twice: 2,
    odd_file: 2,
    far_away: 2,
    network: 4,
    lost_worker: 1,
    kill_fleet: 2,
    machine_dies: 2,
    price_change: 1,
    provider_trouble: 2,
}
