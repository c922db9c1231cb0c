"""What a tuning leaves behind: where it is kept, when it is used, and what spoils it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from listening import listening, work
from workers import one_batch

from zebfast.benchmark import tuned_settings as tuned
from zebfast.benchmark.tuned_settings import Circumstances, Entry
from zebfast.benchmark.tuning import Setting
from zebfast.cli.worker import tuned_file
from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.example_files import read_examples
from zebfast.worker.config import WorkerConfig

NETWORK = {"embed_dim": 16, "n_heads": 2, "n_layers": 1, "ff_dim": 16}
SEARCH = SelfPlayConfig(search=SearchOptions(n_simulations=2))
FOUND = Setting(n_parallel_games=6, n_groups=3, threads=2)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file, in a cache directory of this test's own; torch's threads are put back."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    yield tuned_file()
    torch.set_num_threads(threads)


def here(**changes: Any) -> Circumstances:
    found = Circumstances.of(NETWORK, SEARCH, device="cpu", dtype="fp32")
    return replace(found, machine=found.machine | changes)


def entry(circumstances: Circumstances, setting: Setting = FOUND) -> Entry:
    return Entry(
        circumstances=circumstances,
        setting=setting,
        games_per_second=12.5,
        gain=1.5,
        date="2030-01-02",
    )


def test_it_is_kept_where_caches_are(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path.parts[-3:] == ("cache", "zebfast", "tuned.json")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/users/someone")
    assert tuned_file() == Path("/users/someone/.cache/zebfast/tuned.json")


def test_an_entry_comes_back_as_it_was(path: Path) -> None:
    assert tuned.load(path) == []
    tuned.remember(path, entry(here()))
    assert tuned.load(path) == [entry(here())]
    assert tuned.find(tuned.load(path), here()) == (entry(here()), None)


def test_the_way_of_searching_and_the_network_have_an_entry_each(path: Path) -> None:
    other_search = replace(SEARCH, worlds="true", cache_mb=3)
    larger = NETWORK | {"embed_dim": 32}
    every = [
        Circumstances.of(network, search, device="cpu", dtype=dtype)
        for network in (NETWORK, larger)
        for search in (SEARCH, other_search)
        for dtype in ("fp32", "bf16")
    ]
    for n, circumstances in enumerate(every, start=1):
        tuned.remember(path, entry(circumstances, replace(FOUND, n_parallel_games=3 * n)))
    entries = tuned.load(path)
    assert len(entries) == 8
    for n, circumstances in enumerate(every, start=1):
        found, _ = tuned.find(entries, circumstances)
        assert found is not None
        assert found.setting.n_parallel_games == 3 * n
    again = entry(every[0], replace(FOUND, threads=9))
    tuned.remember(path, again)
    assert len(tuned.load(path)) == 8
    assert tuned.find(tuned.load(path), every[0])[0] == again


def test_games_and_groups_that_a_worker_has_anyway_make_no_difference() -> None:
    many = replace(SEARCH, n_parallel_games=999, n_groups=9)
    assert Circumstances.of(NETWORK, many, device="cpu", dtype="fp32") == here()
    published = Circumstances.of(NETWORK | {"tokenizer": "v1"}, SEARCH, device="cpu", dtype="fp32")
    assert published == here(), "published configs need not name their tokenizer"


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu", "another"), ("cores", 99), ("gpu", "NVIDIA H100"), ("torch", "1"), ("zebfast", "0")],
)
def test_what_was_found_elsewhere_is_not_used(path: Path, name: str, value: object) -> None:
    elsewhere = here(**{name: value})
    tuned.remember(path, entry(elsewhere))
    found, why_not = tuned.find(tuned.load(path), here())
    assert found is None
    assert why_not == (
        f"what was tuned on 2030-01-02 is not used: other {name} (zebfast bench --tune again)"
    )
    tuned.remember(path, entry(here()))
    assert tuned.find(tuned.load(path), here())[0] == entry(here())
    # Versions replace each other; machines that share a home directory do not.
    assert len(tuned.load(path)) == (1 if name in ("torch", "zebfast") else 2)


def test_another_network_device_or_precision_is_said_another_search_is_not(path: Path) -> None:
    tuned.remember(path, entry(here()))
    entries = tuned.load(path)
    larger = Circumstances.of(NETWORK | {"ff_dim": 32}, SEARCH, device="cpu", dtype="bf16")
    found, why_not = tuned.find(entries, larger)
    assert found is None
    assert why_not is not None
    assert "other dtype, network (" in why_not
    other = Circumstances.of(NETWORK, replace(SEARCH, worlds="true"), device="cpu", dtype="fp32")
    assert tuned.find(entries, other) == (None, None)


def whole() -> str:
    found = {"format": 1, "entries": [json.loads(json.dumps(entry(here()), default=vars))]}
    return json.dumps(found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        '{"format": 1}',
        whole().replace('"format": 1', '"format": 2'),
        whole().replace('"n_groups": 3', '"n_groups": 0'),
        whole().replace('"n_groups": 3', '"n_groups": 7'),
        whole().replace('"threads": 2', '"threads": "2"'),
        whole().replace('"threads"', '"thread"'),
        whole().replace('"threads": 2', '"threads": 100000'),
        whole().replace('"n_parallel_games": 6', '"n_parallel_games": 1e300'),
        whole().replace('"date"', '"day"'),
        whole()[:-5],
        "\udcff",
    ],
)
def test_a_damaged_file_is_set_aside_with_one_line(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode(errors="surrogateescape"))
    said: list[str] = []
    with listening(said.append):
        assert tuned.load(path) == []
    assert said == [
        f"{path} was damaged and is now tuned.damaged; zebfast bench --tune writes a new one"
    ]
    assert not path.exists()
    tuned.remember(path, entry(here()))
    assert len(tuned.load(path)) == 1


def test_the_text_of_those_damages_is_sound_without_them(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(whole())
    assert tuned.load(path) == [entry(here())]


def settled(given: set[str], config: WorkerConfig) -> tuple[WorkerConfig, int | None, list[str]]:
    """What is played, threads of the network, and what is said."""
    said: list[str] = []
    with listening(said.append):
        return *tuned.settling(tuned_file(), given)(config, NETWORK), said


def test_a_worker_plays_as_was_found_and_says_so(path: Path, tmp_path: Path) -> None:
    config = replace(one_batch(tmp_path), producer=replace(SEARCH, n_parallel_games=4))
    assert settled(set(), config) == (config, None, []), "nothing was found yet"
    tuned.remember(path, entry(here()))
    plays, threads, said = settled(set(), config)
    assert plays == replace(config, producer=replace(SEARCH, n_parallel_games=6, n_groups=3))
    assert threads == 2
    assert said == [
        "tuned for this machine on 2030-01-02: --n-parallel-games 6 --n-groups 3 --threads 2 "
        "(zebfast bench --tune renews it)"
    ]


def test_flags_that_are_given_count_more(path: Path, tmp_path: Path) -> None:
    config = replace(one_batch(tmp_path), producer=replace(SEARCH, n_parallel_games=2))
    tuned.remember(path, entry(here()))
    plays, threads, said = settled({"n_parallel_games", "threads"}, config)
    assert plays.producer == replace(SEARCH, n_parallel_games=2, n_groups=2), "3 would be too many"
    assert threads is None
    assert "2030-01-02: --n-groups 3 (" in said[0]


def test_a_worker_says_why_it_does_not_use_what_was_found(path: Path, tmp_path: Path) -> None:
    tuned.remember(path, entry(here(cpu="another")))
    config = replace(one_batch(tmp_path), producer=SEARCH)
    plays, _, said = settled(set(), config)
    assert plays == config
    assert [line.partition(":")[2] for line in said] == [" other cpu (zebfast bench --tune again)"]


def test_the_loop_asks_with_the_network_that_is_there(path: Path, tmp_path: Path) -> None:
    """What is answered is what is played."""
    asked: list[dict[str, Any]] = []

    def settle(config: WorkerConfig, network: Any) -> tuple[WorkerConfig, int | None]:
        asked.append(network)
        return replace(config, games_per_batch=6), None

    assert work(one_batch(tmp_path), say=lambda _: None, settle=settle) == 0
    (file,) = (tmp_path / "examples").glob("worker-0_*")
    assert read_examples(file).n_games == 6
    assert [config["embed_dim"] for config in asked] == [64], "that of the small network"


def test_everything_can_be_forgotten(path: Path) -> None:
    from zebfast.cli.main import cli

    tuned.remember(path, entry(here()))
    for words in ("Removed ", "Nothing was remembered in "):
        done = CliRunner().invoke(cli, ["bench", "--forget"])
        assert done.exit_code == 0, done.output
        assert done.output == f"{words}{path}\n"
        assert not path.exists()
