import json
from dataclasses import MISSING, fields, replace

import pytest

from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training import Recipe, list_recipes, load_recipe
from kerasgan3d.training.losses import LOSSES
from kerasgan3d.training.views import View


def write(path, **changes):
    settings = {**load_recipe("default").to_dict(), **changes}
    path.write_text(json.dumps({key: value for key, value in settings.items() if value is not ...}), "utf-8")
    return path


@pytest.mark.parametrize("name", list_recipes())
def test_the_recipes_that_come_along_load(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.architecture in ARCHITECTURES
    assert recipe.description.endswith(".")
    assert "20" in recipe.source
    needed = {f.name for f in fields(Recipe) if f.default is MISSING and f.default_factory is MISSING}
    assert needed <= set(recipe.to_dict())
    assert Recipe(**recipe.to_dict()) == Recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe
    json.dumps(recipe.to_dict(), allow_nan=False)


def test_there_are_recipes():
    assert list_recipes() == ["default", "finetune", "paper"]


def test_the_default_sees_slices_at_two_scales_and_sub_volumes():
    recipe = load_recipe("default")
    assert (recipe.architecture, recipe.conditional, recipe.loss, recipe.penalty) == (
        "deep",
        True,
        "relativistic",
        "r1+r2",
    )
    seen = [(view.kind, view.size, view.pool) for view in recipe.views]
    assert seen == [("slices", 64, 1), ("slices", 128, 2), ("volumes", 64, 2)]
    assert (recipe.size, recipe.precision) == (128, "auto")


def test_fine_tuning_is_the_default_made_shorter_with_rates_that_rise():
    default, recipe = load_recipe("default"), load_recipe("finetune")
    # Its critics see probabilities, not labels, and those of the pooled views have stronger penalties.
    assert [view.penalty for view in default.views] == [1.0, 0.05, 0.05]
    assert recipe.views == tuple(replace(view, penalty=max(view.penalty, 0.15)) for view in default.views)
    assert 0 < recipe.warmup < recipe.steps < default.steps


def test_the_papers_recipe_is_the_papers():
    # Methods and Table 4: batches, Adam, one-sided label smoothing, two updates of the generator.
    recipe = load_recipe("paper")
    (view,) = recipe.views
    assert (recipe.architecture, view.kind, view.size, view.widths) == ("paper", "volumes", 64, (16, 32, 64, 128))
    assert (view.count * recipe.batch, recipe.generator_updates, recipe.smoothing) == (8, 2, 0.1)
    assert (recipe.loss, recipe.penalty, recipe.terms, recipe.conditional) == ("logistic", None, {}, False)
    assert recipe.generator_optimizer == {"learning_rate": 2e-5, "beta_1": 0.5, "beta_2": 0.999}


def test_a_file_is_a_recipe(tmp_path):
    path = write(tmp_path / "mine.json", name="mine", steps=7)
    assert load_recipe(path) == load_recipe(str(path)) == replace(load_recipe("default"), name="mine", steps=7)


def test_a_recipe_is_a_recipe():
    recipe = load_recipe("paper")
    assert load_recipe(recipe) is recipe


def test_changes_that_are_none_are_no_changes():
    recipe = load_recipe("paper")
    assert recipe.with_changes(steps=None, batch=3) == replace(recipe, batch=3)
    assert recipe.with_changes(steps=None) == recipe


@pytest.mark.parametrize("name", ["best", "", "no.json", None])
def test_unknown_names_are_refused(name):
    with pytest.raises(
        ValueError, match=f"`recipe` must be one of {', '.join(list_recipes())}, or a JSON file. Received: "
    ):
        load_recipe(name)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        *(
            (name, "`recipe` to 'default'")
            for name in ("r1-slices", "r1", "slices", "volume-slices", "wide-slices", "equivariant-slices")
        ),
        ("lsgan", "`loss` to 'least-squares'"),
        ("wgan-gp", "`loss` to 'wasserstein'"),
        ("sn-hinge", "`loss` to 'hinge'"),
        ("polish", "`recipe` to 'finetune'"),
        ("settle", "`recipe` to 'finetune'"),
    ],
)
def test_recipes_of_earlier_versions_name_what_replaces_them(name, instead):
    with pytest.raises(ValueError) as error:
        load_recipe(name)
    assert str(error.value) == f"recipe {name!r} is of an earlier version. Set {instead} instead."


@pytest.mark.parametrize(
    ("loss", "changes"),
    [
        ("relativistic", {"penalty": "r1+r2", "critic_updates": 1, "spectral": False}),
        ("logistic", {"penalty": "r1", "penalty_weight": 0.5, "critic_updates": 1}),
        ("wasserstein", {"penalty": "gradient", "penalty_weight": 10.0, "penalty_every": 1, "critic_updates": 5}),
        ("least-squares", {"penalty": None, "critic_updates": 1, "spectral": False}),
        ("hinge", {"penalty": None, "spectral": True, "critic_updates": 1}),
    ],
)
def test_what_goes_with_a_loss_changes_with_it(loss, changes):
    assert loss in LOSSES
    for name in list_recipes():
        before = load_recipe(name)
        recipe = before.with_changes(loss=loss)
        assert recipe.loss == loss
        if loss == before.loss:
            assert recipe == before
            continue
        assert {key: getattr(recipe, key) for key in changes} == changes
        assert recipe.smoothing == 0
        assert (recipe.views, recipe.steps, recipe.terms) == (before.views, before.steps, before.terms)
    # What is asked for beside it wins.
    assert load_recipe("default").with_changes(loss="wasserstein", critic_updates=2).critic_updates == 2


def test_every_loss_has_what_goes_with_it():
    found = {loss: load_recipe("default").with_changes(loss=loss) for loss in LOSSES}
    assert len({(r.penalty, r.penalty_weight, r.spectral, r.critic_updates) for r in found.values()}) >= 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": ...}, r"must hold each setting once. Missing: \['steps'\]; unknown: \[\]"),
        ({"epochs": 3}, r"must hold each setting once. Missing: \[\]; unknown: \['epochs'\]"),
        ({"critic_warmup": 3, "crop": 64}, r"Missing: \[\]; unknown: \['critic_warmup', 'crop'\]"),
        ({"architecture": "large"}, "`architecture` must be .* 'paper', 'deep', 'pretrained'. Received: 'large'"),
        ({"architecture": ["compact"]}, "`architecture` must be one of 'compact', "),
        ({"loss": "huber"}, "`loss` must be one of 'relativistic', .* Received: 'huber'"),
        ({"penalty": "r2"}, r"`penalty` must be one of None, 'r1', 'r1\+r2', 'gradient'. Received: 'r2'"),
        ({"smoothing": 0.1}, "`smoothing` must be 0 where the loss is 'relativistic'"),
        ({"smoothing": 1.5}, "`smoothing` must be a number from 0 to 1. Received: 1.5"),
        ({"spectral": "yes"}, "`spectral` must be one of True, False. Received: 'yes'"),
        ({"conditional": None}, "`conditional` must be one of True, False. Received: None"),
        ({"precision": "float16"}, "`precision` must be one of 'auto', 'float32', 'mixed_bfloat16'. Received: 'float"),
        ({"critic_updates": 0}, "`critic_updates` must be a positive integer. Received: 0"),
        ({"generator_updates": 1.5}, "`generator_updates` must be a positive integer. Received: 1.5"),
        ({"penalty_weight": -1}, "`penalty_weight` must be a number of at least 0. Received: -1"),
        ({"penalty_weight": "0.5"}, "`penalty_weight` must be a number of at least 0. Received: '0.5'"),
        ({"penalty_every": -1}, "`penalty_every` must be a positive integer. Received: -1"),
        ({"labels_from": 1.5}, "`labels_from` must be a number from 0 to 1. Received: 1.5"),
        ({"noise": -0.1}, "`noise` must be a number of at least 0. Received: -0.1"),
        ({"steps": 0}, "`steps` must be a positive integer. Received: 0"),
        ({"warmup": -1}, "`warmup` must be an integer of at least 0. Received: -1"),
        ({"warmup": 1.5}, "`warmup` must be an integer of at least 0. Received: 1.5"),
        ({"steps": 2.5}, "`steps` must be a positive integer. Received: 2.5"),
        ({"batch": True}, "`batch` must be a positive integer. Received: True"),
        ({"monitor_every": "9"}, "`monitor_every` must be a positive integer. Received: '9'"),
        ({"size": 30}, "`size` must be a multiple of 4 voxels. Received: 30"),
        ({"size": 0}, "`size` must be an integer of at least 4. Received: 0"),
        ({"edges": 0.2}, "`edges` must be a number from 0 to 0.15. Received: 0.2"),
        ({"edges": "soft"}, "`edges` must be a number from 0 to 0.15. Received: 'soft'"),
        ({"softening": None}, "`softening` must be a number of at least 0. Received: None"),
        ({"decay_from": 2}, "`decay_from` must be a number from 0 to 1. Received: 2"),
        ({"final_rate": -1}, "`final_rate` must be a number from 0 to 1. Received: -1"),
        ({"average_decay": 1.5}, "`average_decay` must be a number from 0 to 1. Received: 1.5"),
        ({"terms": {"s2": 1.0}}, "`terms` must be weights by name, of volume_fractions, .* Received: {'s2': 1.0}"),
        ({"terms": ["volume_fractions"]}, "`terms` must be weights by name"),
        ({"terms": {"volume_fractions": -1}}, r"`terms\['volume_fractions'\]` must be a number of at least 0"),
        ({"generator_optimizer": 1e-4}, "`generator_optimizer` must hold a `learning_rate`"),
        ({"critic_optimizer": {"beta_1": 0}}, "`critic_optimizer` must hold a `learning_rate`"),
        ({"critic_optimizer": {"learning_rate": 1e-4, "lr": 1}}, "`critic_optimizer` must hold a `learning_rate`"),
        ({"views": []}, r"`views` must be a list of views. Received: \[\]"),
        ({"views": "slices"}, "`views` must be a list of views. Received: 'slices'"),
        ({"views": [{"kind": "slices"}]}, "a view must be a dict with `kind` and `size`"),
        ({"views": [{"kind": "slices", "size": 64, "crop": 1}]}, "a view must be a dict .* Received: .*'crop': 1"),
        ({"views": [{"kind": "rods", "size": 64}]}, "`kind` of a view must be one of slices, volumes. Received"),
        ({"views": [{"kind": "slices", "size": 64, "pool": 3}]}, "`pool` of a view must be 1, 2 or 4. Received: 3"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_other_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        load_recipe(write(tmp_path / "mine.json", **changes))
    assert "\n" not in str(error.value)


def test_settings_that_are_the_default_are_left_out(tmp_path):
    recipe = load_recipe("default")
    assert not {"critic_updates", "noise", "precision", "loss"} & set(recipe.to_dict())
    assert load_recipe(write(tmp_path / "mine.json", noise=0.0, precision="auto")) == recipe
    assert recipe.with_changes(precision="float32").to_dict()["precision"] == "float32"
    assert recipe.with_changes(loss="wasserstein").to_dict()["critic_updates"] == 5


def test_views_of_a_file_are_views(tmp_path):
    path = write(tmp_path / "mine.json", views=[{"kind": "volumes", "size": 32, "count": 2}])
    assert load_recipe(path).views == (View("volumes", 32, count=2),)


@pytest.mark.parametrize(
    ("content", "message"), [("{", "is not valid JSON"), ("[]", "must hold each setting once"), ("3", "must hold each")]
)
def test_files_of_another_kind_are_refused(tmp_path, content, message):
    (tmp_path / "mine.json").write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message):
        load_recipe(tmp_path / "mine.json")
