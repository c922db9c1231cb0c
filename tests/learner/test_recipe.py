"""The recipe's text: what it may say, and one sentence for what it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from taught import RECIPE, tiny_recipe

from zebfast.cli.learn import command
from zebfast.learner.recipe import NetworkChoice, RecipeError, parse_recipe, read_recipe
from zebfast.system.settings import encode


def test_a_recipe_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    recipe = read_recipe(path)
    assert recipe == tiny_recipe()
    first, second = recipe.stages
    assert first.producer == {"mode": "exact", "explore": 0.1}
    assert (first.lr, first.lr_end, first.reuse, first.forget) == (1e-2, 1e-3, 2.0, False)
    assert (second.batch_size, second.forget) == (4, True)
    assert recipe.network.config().belief_head
    assert json.loads(json.dumps(encode(recipe)))["stages"][1]["name"] == "second"


def test_stages_follow_the_games() -> None:
    recipe = tiny_recipe()
    assert [recipe.index_at(games) for games in (0, 3, 4, 7, 8, 99)] == [0, 0, 1, 1, 1, 1]
    assert [recipe.share_done(games) for games in (0, 2, 4, 6, 8, 99)] == [0, 0.5, 0, 0.5, 1, 1]
    assert [recipe.first_games(index) for index in (0, 1)] == [0, 4]
    assert recipe.total_games == 8


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "tiny"', 'name = "ti/ny"', "expected letters"),
        ('name = "tiny"', "", "lacks name"),
        ("[network]", "[netwrk]", "key in the top level: 'netwrk'; did you mean 'network'?"),
        ("ema = 0.9", "ema = 1.0", "ema is 1.0: expected 0 (off) to below 1"),
        ("ema = 0.9", "emma = 0.9", "did you mean 'ema'?"),
        ("ema = 0.9", 'ema = "no"', "ema is 'no': expected a number"),
        ("n_games = 8", "n_games = 0", "n_games is 0: expected 2 to 100000000"),
        ("n_games = 8", "n_games = 8.5", "expected a whole number"),
        ('["random"]', '["randm"]', "did you mean 'random'?"),
        ('["random"]', '["random", "random"]', "opponents has one twice"),
        ('["random"]', '"random"', "expected a list of texts"),
        ("every_minutes = 1000", "every_minutes = inf", "expected above 0 and at most 527040"),
        ("until_games = 8", "until_games = 4", "ends at 4 games, which 'first' has reached"),
        ('name = "second"', 'name = "first"', "two stages have one name"),
        ('mode = "exact"', 'mode = "oracle"', "expected one of exact, game, rollout, selfplay"),
        ('mode = "exact"', 'made = "exact"', "producer mode is None"),
        ("explore = 0.1", "explore = [1]", "explore of the producer is [1]: expected one plain"),
        ("lr = 1e-2", "lr = true", "lr is True: expected a number"),
        ("lr = 1e-2", "lr = 0", "lr is 0.0: expected above 0 and at most 1000"),
        ("reuse = 2", "", "[[stages]] 1 lacks reuse"),
        ("forget = true", "forget = 1", "expected true or false"),
        ("[[stages]]", "[[", "is no TOML"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(old: str, new: str, words: str) -> None:
    assert old in RECIPE
    with pytest.raises(RecipeError) as caught:
        parse_recipe(RECIPE.replace(old, new), source="mine.toml")
    message = str(caught.value)
    assert words in message
    assert message.startswith("recipe mine.toml ")
    assert "\n" not in message


def test_other_mistakes() -> None:
    with pytest.raises(RecipeError, match="there are no stages"):
        parse_recipe('name = "x"')
    with pytest.raises(RecipeError, match="expected a table"):
        parse_recipe('name = "x"\narena = 3')
    with pytest.raises(RecipeError, match=r"expected .*stages.* once for each"):
        parse_recipe('name = "x"\nstages = 3')
    with pytest.raises(RecipeError, match=r"\[network\] cannot be used: there is no 'huge'"):
        NetworkChoice(size="huge").config()


def test_the_command_takes_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    place = ("--repo-id", str(tmp_path / "w"), "--input-dir", str(tmp_path / "e"))

    def dry(*flags: str) -> str:
        result = CliRunner().invoke(command, [*place, *flags, "--dry-run"])
        return result.output if not result.exit_code else f"{result.exit_code}: {result.output}"

    found = json.loads(dry("--recipe", str(path)))
    assert found["recipe"]["name"] == "tiny"
    assert (found["ema"], found["training_steps_per_cycle"], found["eval_every"]) == (0.9, 4, 0)
    # What is typed goes before the recipe, except where stages have a say.
    typed = json.loads(dry("--recipe", str(path), "--ema", "0.5", "--eval-every", "3"))
    assert (typed["ema"], typed["eval_every"]) == (0.5, 3)
    assert "--lr is set by every stage" in dry("--recipe", str(path), "--lr", "0.1")
    assert dry("--recipe", str(tmp_path / "none.toml")).startswith("2: ")
    path.write_text(RECIPE.replace('"small"', '"huge"'))
    assert "there is no 'huge'" in dry("--recipe", str(path))
    assert json.loads(dry())["recipe"] is None
