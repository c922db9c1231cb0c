"""The documented ``.pt`` example layout: a dict of token tensors, about 1.2 KB an example.

Written for other readers of that layout, read for other writers of it. Reading trusts nothing: the
file may hold only tensors and plain values, no more of them than its bytes, and every row must be a
position that can arise at the table.

Its tokens are v1's, but what is read is the positions, from which every network's inputs are made.
It has no place for final points: rows read from it know who won, as their value. Nor has it one for
contracts: its games are played for points.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zebfast.core.masks import count_dominoes, domino_bits, followers
from zebfast.core.observe import games_to_examples
from zebfast.core.records import (
    EXAMPLE_DTYPE,
    EXAMPLE_HAS_BELIEF,
    EXAMPLE_HAS_POLICY,
)
from zebfast.exchange.archive import Archive, BadArchive, StoredTensor
from zebfast.exchange.archive_writer import archive_bytes
from zebfast.net.packing import FIRST_PLAY, pack_tokens, unpack_tokens
from zebfast.rules import HAND_SIZE, N_DOMINOES, N_SEATS
from zebfast.selfplay.examples import (
    MAX_EXAMPLES,
    BadExampleFile,
    Examples,
    brief,
    check_metadata,
)
from zebfast.system.files import write_atomic

Array: TypeAlias = NDArray[Any]

#: Name -> type and shape of each example's.
_Fields: TypeAlias = Mapping[str, tuple[str, tuple[int, ...]]]
_FIELDS: _Fields = {
    "observations": ("int32", (36, 8)),
    "masks": ("bool", (36,)),
    "hand_indices": ("int64", (7,)),
    "hand_masks": ("bool", (7,)),
    "policy_targets": ("float32", (7,)),
    "value_targets": ("float32", ()),
}
_BELIEF_FIELDS: _Fields = {
    "belief_targets": ("int64", (N_DOMINOES,)),
    "belief_mask": ("bool", (N_DOMINOES,)),
}
_CHUNK = 8192
_DOMINOES = np.arange(N_DOMINOES, dtype=np.uint32)
_POLICY_SCALE = 65535


def write_pt(
    path: Path, games: NDArray[np.void], metadata: Mapping[str, Any], *, belief: bool = True
) -> None:
    """Write GAME_DTYPE[G] in the documented layout, whole or not at all.

    Raises:
        ValueError: a game is not legal (names the row), or has a contract.
        OSError: as raised by the file system.
    """
    if games["contract"]["bid"].any():
        raise ValueError(
            "the documented .pt layout has no place for contracts; expected games for points, or "
            "the native format"
        )
    arrays = arrays_from_examples(games_to_examples(games), belief=belief)
    write_atomic(Path(path), archive_bytes({**arrays, "metadata": dict(metadata)}))


def arrays_from_examples(records: NDArray[np.void], *, belief: bool) -> dict[str, Array]:
    """EXAMPLE_DTYPE[N] -> the documented tensors, played slots zeroed."""
    tokens, mask = unpack_tokens(records["obs"])
    weights = records["policy"].astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    policy = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    arrays: dict[str, Array] = {
        "observations": tokens.astype(np.int32),
        "masks": mask,
        "hand_indices": np.tile(np.arange(1, FIRST_PLAY), (len(records), 1)),
        "hand_masks": mask[:, 1:FIRST_PLAY],
        "policy_targets": policy.astype(np.float32),
        "value_targets": records["value"].astype(np.float32),
    }
    if belief:
        left, partner = domino_bits(records["left"]), domino_bits(records["partner"])
        arrays["belief_targets"] = np.where(left, 0, np.where(partner, 1, 2)).astype(np.int64)
        arrays["belief_mask"] = ~domino_bits(records["obs"]["hand"])
    return arrays


def read_pt(source: BinaryIO) -> Examples:
    """Check and convert an open ``.pt`` example file. Raises BadExampleFile, OSError.

    Policy targets become 16-bit weights: within 2e-5 of what the file says.
    """
    try:
        archive = Archive(source)
        content = archive.content
        if not isinstance(content, dict):
            raise BadExampleFile("holds no dictionary; expected the documented tensors by name")
        fields = dict(_FIELDS)
        if any(name in content for name in _BELIEF_FIELDS):
            fields |= _BELIEF_FIELDS
        n = _check_tensors(content, fields)
        metadata = check_metadata(content.get("metadata"), n_examples=n)
        arrays = {name: archive.load(content[name]) for name in fields}
    except BadArchive as error:
        raise BadExampleFile(f"{error}; expected the tensors that are documented") from error
    records = np.zeros(n, EXAMPLE_DTYPE)
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        _convert({name: array[rows] for name, array in arrays.items()}, records[rows], start)
    return Examples(records, metadata)


def _check_tensors(content: Mapping[str, Any], fields: _Fields) -> int:
    """How many examples the tensors hold, as they are declared: none has been read yet."""
    masks = content.get("masks")
    n = masks.shape[0] if isinstance(masks, StoredTensor) and masks.shape else 0
    if not 0 < n <= MAX_EXAMPLES:
        raise BadExampleFile(f"has {n} examples; expected 1 to {MAX_EXAMPLES}")
    for name, (dtype, shape) in fields.items():
        wanted = f"{dtype}{[n, *shape]}"
        tensor = content.get(name)
        if not isinstance(tensor, StoredTensor):
            raise BadExampleFile(f"has no tensor {name}; expected {wanted}")
        if str(tensor) != wanted:
            raise BadExampleFile(f"{name} is {tensor}; expected {wanted}")
    return n


def _convert(arrays: Mapping[str, Array], out: NDArray[np.void], first: int) -> None:
    """Check a chunk of rows and fill ``out`` (EXAMPLE_DTYPE) with them."""
    tokens, masks = arrays["observations"], arrays["masks"]
    try:
        obs = pack_tokens(tokens, masks)
    except ValueError as error:
        raise BadExampleFile(
            f"rows from {first}: {brief(error)}; expected v1 observations"
        ) from error
    require(arrays["hand_masks"] == masks[:, 1:8], "hand_masks", "as in masks", first)
    require(arrays["hand_indices"] == np.arange(1, 8), "hand_indices", "1 to 7", first)
    obs["legal"] = legal_slots(obs)
    out["obs"] = obs
    _convert_targets(arrays, obs, out, first)
    if "belief_targets" in arrays:
        _convert_belief(arrays, obs, out, first)


def _convert_targets(
    arrays: Mapping[str, Array], obs: NDArray[np.void], out: NDArray[np.void], first: int
) -> None:
    value, policy = arrays["value_targets"], arrays["policy_targets"]
    with np.errstate(invalid="ignore"):
        require((value >= -1) & (value <= 1), "value_targets", "numbers from -1 to 1", first)
        require((policy >= 0) & (policy <= 1.001), "policy_targets", "0 to 1", first)
    total = policy.sum(axis=1, dtype=np.float64)
    has_policy = total > 0
    require(
        ~has_policy | (np.abs(total - 1) < 1e-3), "policy_targets", "rows that sum to 1 or 0", first
    )
    legal = (obs["legal"][:, None] >> np.arange(7) & 1).astype(bool)
    require(legal | (policy == 0), "policy_targets", "0 where the domino is not legal", first)
    out["value"] = value
    out["policy"] = np.rint(np.minimum(policy, 1) * _POLICY_SCALE)
    out["flags"] = np.where(has_policy, EXAMPLE_HAS_POLICY, 0)


def _convert_belief(
    arrays: Mapping[str, Array], obs: NDArray[np.void], out: NDArray[np.void], first: int
) -> None:
    target, mask = arrays["belief_targets"], arrays["belief_mask"]
    require(mask == ~domino_bits(obs["hand"]), "belief_mask", "false for the own seven only", first)
    held = [np.where(mask & (target == seat), np.uint32(1) << _DOMINOES, 0) for seat in range(3)]
    hands = [np.bitwise_or.reduce(h, axis=1).astype(np.uint32) for h in held]
    for hand in hands:
        require(count_dominoes(hand) == 7, "belief_targets", "seven for each seat", first)
    domino, seat = (obs["plays"] & 31).astype(np.uint32), obs["plays"] >> 5
    made = np.arange(N_DOMINOES) < obs["n_plays"][:, None]
    for other, hand in enumerate(hands, start=1):
        theirs = made & (seat == other)
        require(
            ~theirs | (hand[:, None] >> domino & 1 == 1), "belief_targets", "who played what", first
        )
    out["left"], out["partner"] = hands[0], hands[1]
    out["flags"] |= EXAMPLE_HAS_BELIEF


def legal_slots(obs: NDArray[np.void]) -> NDArray[np.uint8]:
    """Bits of the slots that may be played; the tokens themselves do not say."""
    hand = domino_bits(obs["hand"])
    slots = np.nonzero(hand)[1].reshape(len(obs), HAND_SIZE)
    in_hand = (obs["in_hand"][:, None] >> np.arange(7) & 1).astype(bool)
    led_at = obs["n_plays"].astype(np.int64) // N_SEATS * N_SEATS
    led = obs["plays"][np.arange(len(obs)), np.minimum(led_at, 27)] & 31
    following = domino_bits(followers()[obs["decl"], led])[np.arange(len(obs))[:, None], slots]
    following &= in_hand
    bound = (obs["n_plays"] % N_SEATS != 0) & following.any(axis=1)
    legal = np.where(bound[:, None], following, in_hand)
    packed: NDArray[np.uint8] = (legal << np.arange(7)).sum(axis=1).astype(np.uint8)
    return packed


def require(ok: Array, name: str, wanted: str, first: int) -> None:
    """BadExampleFile naming the first row where ``ok`` (first axis = rows) does not hold."""
    rows = ok.reshape(len(ok), -1).all(axis=1)
    if not rows.all():
        row = first + int(np.argmin(rows))
        raise BadExampleFile(f"{name} of example {row} cannot be; expected {wanted}")
