import json
from dataclasses import MISSING, fields, replace

import pytest

from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training import Recipe, list_recipes, load_recipe


def write(path, **changes):
    settings = {**load_recipe("r1-slices").to_dict(), **changes}
    path.write_text(json.dumps({key: value for key, value in settings.items() if value is not ...}), "utf-8")
    return path


OF_SLICES = (
    "r1-slices",
    "equivariant-slices",
    "volume-slices",
    "wide-slices",
    "slices",
    "finetune",
    "polish",
    "settle",
)


@pytest.mark.parametrize("name", list_recipes())
def test_the_recipes_that_come_along_load(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.architecture in ARCHITECTURES
    assert recipe.description.endswith(".")
    assert "20" in recipe.source
    assert {field.name for field in fields(Recipe) if field.default is MISSING} <= set(recipe.to_dict())
    assert Recipe(**recipe.to_dict()) == recipe
    json.dumps(recipe.to_dict(), allow_nan=False)


def test_there_are_recipes():
    assert {"paper", "r1", "r1-slices", "wgan-gp", "lsgan", "sn-hinge"} <= set(list_recipes())


def test_the_papers_recipe_is_the_papers():
    # Methods and Table 4: batches, Adam, one-sided label smoothing, two updates of the generator, sub-volumes every 8.
    recipe = load_recipe("paper")
    assert (recipe.architecture, recipe.critic, recipe.critic_widths) == ("paper", "auto", (16, 32, 64, 128))
    assert recipe.for_data(3).critic == "volumes"
    assert (recipe.crop, recipe.spacing, recipe.generator_updates, recipe.label_smoothing) == (64, 8, 2, 0.1)
    assert recipe.generator_optimizer == {"learning_rate": 2e-5, "beta_1": 0.5, "beta_2": 0.999}


def test_a_file_is_a_recipe(tmp_path):
    path = write(tmp_path / "mine.json", name="mine", steps=7)
    assert load_recipe(path) == load_recipe(str(path)) == replace(load_recipe("r1-slices"), name="mine", steps=7)


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
    ("changes", "message"),
    [
        ({"steps": ...}, r"must hold each setting once. Missing: \['steps'\]; unknown: \[\]"),
        ({"epochs": 3}, r"must hold each setting once. Missing: \[\]; unknown: \['epochs'\]"),
        ({"architecture": "large"}, "`architecture` must be .* 'wide', 'paper', 'deep'. Received: 'large'"),
        ({"architecture": ["compact"]}, "`architecture` must be one of 'compact', 'wide', 'paper'"),
        ({"loss": "huber"}, "`loss` must be one of 'logistic', .* Received: 'huber'"),
        (
            {"loss": "wasserstein", "label_smoothing": 0.1},
            "`label_smoothing` must be 0 where the loss is 'wasserstein'",
        ),
        ({"critic": "voxels"}, "`critic` must be one of 'auto', 'slices', 'volumes'. Received: 'voxels'"),
        ({"critic_normalization": "layer"}, "`critic_normalization` must be one of None, 'spectral', 'batch'"),
        ({"critic_normalization": "batch"}, "`critic_normalization` must be None or 'spectral' for critics of slices"),
        ({"precision": "float16"}, "`precision` must be one of 'float32', 'mixed_bfloat16'. Received: 'float16'"),
        ({"critic_updates": 0}, "`critic_updates` must be a positive integer. Received: 0"),
        ({"gradient_penalty": -1}, "`gradient_penalty` must be a non-negative number. Received: -1"),
        ({"s2_lags": []}, "`s2_weight` needs `s2_lags`"),
        ({"s2_lags": [], "s2_weight": 0.0, "diagonal_weight": 1.0}, "`diagonal_weight` needs `s2_lags`"),
        ({"s2_weight": 1.0, "s2_lags": [1, 64]}, r"`s2_lags` must be a list of lags from 1 to 63 .* \(1, 64\)"),
        ({"statistics_decay": 1.0}, "`statistics_decay` must be below 1. Received: 1.0"),
        ({"calibrate": 0.0}, "`calibrate` must be true, false or a positive number. Received: 0.0"),
        ({"calibrate": "yes"}, "`calibrate` must be true, false or a positive number. Received: 'yes'"),
        ({"critic_weight": -1.0}, "`critic_weight` must be a non-negative number. Received: -1.0"),
        ({"pull_limit": 0.0}, "`pull_limit` must be positive. Received: 0.0"),
        ({"pull_limit": -0.1}, "`pull_limit` must be a non-negative number. Received: -0.1"),
        ({"s2_lags": 3}, "`s2_lags` must be a list of lags from 1 to 63 voxels. Received: 3"),
        ({"steps": 0}, "`steps` must be a positive integer. Received: 0"),
        ({"critic_warmup": -1}, "`critic_warmup` must be a number of steps, 0 or more. Received: -1"),
        ({"critic_warmup": 1.5}, "`critic_warmup` must be a number of steps, 0 or more. Received: 1.5"),
        ({"steps": 2.5}, "`steps` must be a positive integer. Received: 2.5"),
        ({"batch": True}, "`batch` must be a positive integer. Received: True"),
        ({"monitor_every": "9"}, "`monitor_every` must be a positive integer. Received: '9'"),
        ({"r1_every": -1}, "`r1_every` must be a positive integer. Received: -1"),
        ({"slices": 0}, "`slices` must be a positive integer. Received: 0"),
        ({"crop": 40}, "`crop` must be a multiple of 16 voxels. Received: 40"),
        ({"critic_widths": 8}, "`critic_widths` must be a list of positive integers. Received: 8"),
        ({"critic_widths": []}, r"`critic_widths` must be a list of positive integers. Received: \(\)"),
        ({"critic_widths": [8, 0]}, r"`critic_widths` must be a list of positive integers. Received: \(8, 0\)"),
        ({"critic_widths": "32"}, "`critic_widths` must be a list of positive integers. Received: '32'"),
        ({"critic": "volumes", "crop": 32}, "`crop` must be at least 64 voxels for a critic of volumes with 4 widths"),
        ({"stages": [3]}, r"`stages` must be a list of dicts. Received: \(3,\)"),
        ({"stages": [{"s2_weight": 1}]}, 'must begin "from" a step after the one before, and before the last, 5500'),
        ({"stages": [{"from": 9}, {"from": 9}]}, r"before the last, 5500. Received: \{'from': 9\}"),
        ({"stages": [{"from": 5500}]}, r"Received: \{'from': 5500\}"),
        (
            {"stages": [{"from": 9, "r1": 1.0}]},
            "`stages` may change fraction_weight, s2_weight, .* Received: 'r1': 1.0",
        ),
        ({"stages": [{"from": 9, "s2_weight": "1"}]}, "to numbers, and have .* Received: 's2_weight': '1'"),
        ({"stages": [{"from": 9, "layers": 0}]}, "`layers`, a positive integer. Received: 'layers': 0"),
        ({"stages": [{"from": 9, "pull_limit": 0}]}, "`pull_limit` must be positive. Received: 0"),
        (
            {"stages": [{"from": 9, "diagonal_weight": 1}]},
            "in all or none. Received: `diagonal_weight` 1 from step 9, 0.0",
        ),
        (
            {"stages": [{"from": 9, "rate": 2}]},
            "`rate` and `decay_from` of `stages` must be from 0 to 1. Received: .*2",
        ),
        ({"stages": [{"from": 9, "rate": "1"}]}, "`rate` and `decay_from` of `stages` must be from 0 to 1"),
        ({"stages": [{"from": 9, "architecture": ["wide"]}]}, r"that before, 'compact', .* Received: \['wide'\]"),
        ({"stages": [{"from": 9, "decay_from": 0.5}]}, "`decay_from` of `stages` needs a `rate` to fall from"),
        (
            {"stages": [{"from": 9, "architecture": "paper"}]},
            "`architecture` of `stages` must be that before, 'compact', or .* wider .* Received: 'paper'",
        ),
        (
            {"stages": [{"from": 9, "architecture": "wide"}, {"from": 10, "architecture": "compact"}]},
            "must be that before, 'wide', .* Received: 'compact'",
        ),
        ({"architecture": "pretrained", "stages": [{"from": 9, "architecture": "wide"}]}, "that before, 'pretrained'"),
        (
            {"equivariant": True, "stages": [{"from": 9, "architecture": "wide"}]},
            "`equivariant` must be false where `stages` widen the generator. Received: 'wide'",
        ),
        ({"equivariant": 1}, "`equivariant` must be true or false. Received: 1"),
        ({"volume_crop": 4}, "`volume_crop` must be 0 or from 8 to the crop, 64 voxels. Received: 4"),
        ({"volume_crop": 65}, "`volume_crop` must be 0 or from 8 to the crop, 64 voxels. Received: 65"),
        ({"volume_crop": 32.0}, "`volume_crop` must be 0 or from 8 to the crop"),
        ({"r1": "0.5"}, "`r1` must be a non-negative number. Received: '0.5'"),
        ({"fraction_weight": -1}, "`fraction_weight` must be a non-negative number. Received: -1"),
        ({"softening": None}, "`softening` must be a non-negative number. Received: None"),
        ({"generator_optimizer": 1e-4}, "`generator_optimizer` must hold a `learning_rate`"),
        ({"critic_optimizer": {"beta_1": 0}}, "`critic_optimizer` must hold a `learning_rate`"),
        ({"critic_optimizer": {"learning_rate": 1e-4, "lr": 1}}, "`critic_optimizer` must hold a `learning_rate`"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_other_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load_recipe(write(tmp_path / "mine.json", **changes))


def test_settings_that_are_off_are_left_out(tmp_path):
    recipe = load_recipe("r1-slices")
    assert not {"critic_updates", "gradient_penalty", "precision"} & set(recipe.to_dict())
    assert load_recipe(write(tmp_path / "mine.json", gradient_penalty=0.0, precision="float32")) == recipe
    assert recipe.with_changes(precision="mixed_bfloat16").to_dict()["precision"] == "mixed_bfloat16"
    assert load_recipe("wgan-gp").to_dict()["critic_updates"] == 5


def test_the_critics_first_steps_come_before_the_others():
    recipe = load_recipe("finetune").with_changes(steps=10, critic_warmup=4)
    assert recipe.total_steps == 14
    assert recipe.with_changes(critic_warmup=0).total_steps == 10


@pytest.mark.parametrize("name", list_recipes())
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_data_leave_nothing_open(name, dimensions):
    recipe = load_recipe(name).for_data(dimensions)
    expected = "volumes" if dimensions == 3 and name not in OF_SLICES else "slices"
    assert recipe.critic == expected
    assert recipe.slices >= 1 or expected == "volumes"
    assert len(recipe.critic_widths) == 4
    assert recipe.for_data(dimensions) == recipe


def test_a_critic_that_is_asked_for_is_taken():
    assert load_recipe("r1").with_changes(critic="slices").for_data(3).critic == "slices"
    assert load_recipe("r1-slices").with_changes(critic="volumes").for_data(3).critic == "volumes"


@pytest.mark.parametrize(("crop", "layers"), [(16, 2), (32, 3), (48, 3), (64, 4), (128, 4)])
def test_a_critic_of_volumes_has_as_many_layers_as_the_crop_has_room_for(crop, layers):
    widths = load_recipe("r1").with_changes(crop=crop).for_data(3).critic_widths
    assert widths == (16, 32, 64, 128)[:layers]
    assert load_recipe("r1").with_changes(crop=crop).for_data(2).critic_widths == (32, 64, 128, 256)


@pytest.mark.parametrize(
    ("content", "message"), [("{", "is not valid JSON"), ("[]", "must hold each setting once"), ("3", "must hold each")]
)
def test_files_of_another_kind_are_refused(tmp_path, content, message):
    (tmp_path / "mine.json").write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message):
        load_recipe(tmp_path / "mine.json")


def test_stages_follow_one_another():
    stages = (
        {"from": 100, "s2_weight": 7.0},
        {"from": 300, "surface_weight": 8.0, "statistics_decay": 0.5, "layers": 2},
    )
    recipe = load_recipe("finetune").with_changes(steps=1000, critic_warmup=50, stages=stages)
    found = recipe.stretches()
    assert [(steps, held) for steps, held, *_ in found] == [(50, True), (100, False), (200, False), (700, False)]
    assert [stretch.settings["s2_weight"] for stretch in found] == [10.0, 10.0, 7.0, 7.0]
    assert [stretch.settings["surface_weight"] for stretch in found] == [10.0, 10.0, 10.0, 8.0]
    assert [stretch.settings["statistics_decay"] for stretch in found] == [0.9, 0.9, 0.9, 0.5]
    assert [stretch.layers for stretch in found] == [None, None, None, 2]
    assert Recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.with_changes(steps=300).stages == stages[:1]
    assert len(recipe.with_changes(critic_warmup=0, stages=()).stretches()) == 1


def test_stages_begin_learning_rates_again():
    recipe = load_recipe("finetune").with_changes(
        steps=1000,
        decay_from=0.5,
        stages=(
            {"from": 200, "rate": 0.8},
            {"from": 300, "s2_weight": 1.0},
            {"from": 600, "rate": 0.5, "decay_from": 0},
        ),
    )
    assert recipe.rates() == [(0, 1.0, 100), (200, 0.8, 400), (600, 0.5, 600)]
    assert recipe.with_changes(steps=500).rates() == [(0, 1.0, 100), (200, 0.8, 350)]
    assert load_recipe("r1").with_changes(steps=100, decay_from=0.5).rates() == [(0, 1.0, 50)]


def test_stages_go_on_wider():
    stages = ({"from": 100, "architecture": "wide"}, {"from": 300, "s2_weight": 1.0})
    recipe = load_recipe("r1-slices").with_changes(steps=1000, critic_warmup=50, stages=stages)
    assert [stretch.architecture for stretch in recipe.stretches()] == ["compact", "compact", "wide", "wide"]
    after = [recipe.architecture_after(steps) for steps in (0, 50, 150, 151, 1050)]
    assert after == ["compact", "compact", "compact", "wide", "wide"]
    assert recipe.widens
    assert not load_recipe("r1-slices").widens
    assert replace(recipe, architecture="wide").architecture_after(0) == "wide"


def test_sub_volumes_are_seen_beside_slices_of_3d_data_alone():
    recipe = load_recipe("r1-slices").with_changes(volume_crop=48)
    assert recipe.for_data(3).volume_crop == 48
    assert recipe.for_data(2).volume_crop == 0
    assert recipe.with_changes(critic="volumes", critic_widths=(8, 8)).for_data(3).volume_crop == 0
    assert recipe.with_changes(crop=32).volume_crop == 32


def test_a_smaller_crop_takes_the_lags_that_it_cannot_hold():
    recipe = load_recipe("r1-slices")
    assert recipe.s2_lags == (1, 2, 4, 8, 16, 24, 32)
    assert recipe.with_changes(crop=32).s2_lags == (1, 2, 4, 8, 16, 24)
    assert recipe.with_changes(crop=96).s2_lags == recipe.s2_lags
    assert recipe.with_changes(crop=32, s2_lags=(3,)).s2_lags == (3,)
    with pytest.raises(ValueError, match=r"from 1 to 31 voxels. Received: \(40,\)"):
        recipe.with_changes(crop=32, s2_lags=(40,))
