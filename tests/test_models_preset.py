import hashlib
import json
import shutil

import numpy as np
import pytest

from kerasgan3d.folder import read_json, write_json
from kerasgan3d.models import Generator
from kerasgan3d.models.preset import load_preset, save_preset


@pytest.fixture(scope="module")
def generator(make_generator):
    made = make_generator(phases=("pore", "Ni", "YSZ"), voxel_size=0.065)
    made.card = {"name": "tiny", "data": "none"}
    return made


@pytest.fixture(scope="module")
def saved(generator, tmp_path_factory):
    return save_preset(generator, tmp_path_factory.mktemp("preset") / "tiny", reference={"mean": {"error": 0.5}})


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(saved, tmp_path / "tiny")


def change(path, **changes):
    content = json.loads(path.read_text("utf-8"))
    content.update(changes)
    path.write_text(json.dumps(content), "utf-8")


def change_argument(folder, **changes):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["config"].update(changes)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")


def test_a_folder_holds_keras_layout_and_the_card(saved):
    assert sorted(path.name for path in saved.iterdir()) == [
        "config.json",
        "kerasgan3d.json",
        "metadata.json",
        "model.weights.h5",
        "reference.json",
    ]
    weights = (saved / "model.weights.h5").read_bytes()
    card = read_json(saved / "kerasgan3d.json")
    assert card == {
        "name": "tiny",
        "data": "none",
        "format": 2,
        "phases": ["pore", "Ni", "YSZ"],
        "voxel_size": 0.065,
        "weights": {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)},
    }
    assert read_json(saved / "reference.json") == {"format": 2, "mean": {"error": 0.5}}


def test_a_round_trip_samples_the_same(generator, saved):
    again = load_preset(saved)
    for a, b in zip(generator.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    volume, ours = again.sample(12, seed=1, periodic=True), generator.sample(12, seed=1, periodic=True)
    np.testing.assert_array_equal(volume.labels, ours.labels)
    assert (volume.phases, volume.voxel_size) == (("pore", "Ni", "YSZ"), 0.065)
    assert volume.provenance["generator"] == {"name": "tiny", "sha256": again.card["weights"]["sha256"]}


@pytest.mark.parametrize(
    "arguments",
    [
        {"upsampling": "transposed", "output_bias": False, "initializer": "glorot_uniform"},
        {"padding": "circular"},
        {"phases": 2, "widths": (4,)},
    ],
    ids=str,
)
def test_other_generators_make_the_trip(make_generator, tmp_path, arguments):
    generator = make_generator(**arguments)
    again = load_preset(save_preset(generator, tmp_path / "preset"))
    ours = generator.get_config()
    assert {**again.get_config(), "name": ""} == {**ours, "name": ""}
    np.testing.assert_array_equal(again.sample(9, seed=0).labels, generator.sample(9, seed=0).labels)


def test_a_folded_generator_makes_the_trip(make_generator, tmp_path):
    folded = make_generator().folded()
    again = load_preset(save_preset(folded, tmp_path / "folded"))
    np.testing.assert_array_equal(again.sample(9, seed=0).labels, folded.sample(9, seed=0).labels)


def test_kernels_of_half_the_bytes_give_the_voxels_of_the_file(generator, saved, tmp_path):
    import h5py
    import keras

    folder = save_preset(generator, tmp_path / "half", precision="float16")
    again = load_preset(folder)
    for a, b in zip(generator.get_weights(), again.get_weights(), strict=True):
        assert b.dtype == np.float32
        np.testing.assert_array_equal(a.astype("float16") if a.ndim > 1 else a, b)
    kinds = []
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(lambda _, item: kinds.append((item.dtype, item.ndim > 1)) if hasattr(item, "dtype") else None)
    assert {(str(dtype), is_kernel) for dtype, is_kernel in kinds} == {("float16", True), ("float32", False)}
    sizes = [(path / "model.weights.h5").stat().st_size for path in (folder, saved)]
    assert again.card["weights"]["bytes"] == sizes[0] < sizes[1]
    labels = again.sample(16, seed=1).labels
    # Whatever reads the file has its voxels: a second folder in float32 as well, and Keras itself.
    for reader in (load_preset(save_preset(again, tmp_path / "whole")), keras.saving.load_model(folder)):
        np.testing.assert_array_equal(reader.sample(16, seed=1).labels, labels)


def test_kernels_that_float16_cannot_hold_are_refused(make_generator, tmp_path):
    generator = make_generator()
    kernel = generator.convolutions[0].kernel
    kernel.assign(1e5 + 0 * kernel)
    with pytest.raises(ValueError, match="`precision` must be 'float32' for a kernel up to 1e\\+05"):
        save_preset(generator, tmp_path / "half", precision="float16")
    assert not (tmp_path / "half").exists()
    with pytest.raises(ValueError, match="`precision` must be 'float32' or 'float16'. Received: 'int8'"):
        save_preset(generator, tmp_path / "half", precision="int8")


def test_keras_itself_reads_the_folder(generator, saved):
    import keras

    again = keras.saving.load_model(saved)
    assert isinstance(again, Generator)
    np.testing.assert_array_equal(again.sample(8, seed=0).labels, generator.sample(8, seed=0).labels)


def test_saving_again_replaces_and_leaves_the_rest(generator, make_generator, folder):
    (folder / "README.md").write_text("the card of the old one", "utf-8")
    (folder / "notes.txt").write_text("mine", "utf-8")
    (folder / "more").mkdir()
    (folder / "more" / "a.txt").write_text("mine too", "utf-8")
    other = make_generator(seed=3, phases=("pore", "Ni", "YSZ"))
    save_preset(other, folder, card={"name": "other"})
    again = load_preset(folder)
    assert again.card["name"] == "other"
    assert not (folder / "README.md").exists()
    assert (folder / "notes.txt").read_text("utf-8") == "mine"
    assert (folder / "more" / "a.txt").read_text("utf-8") == "mine too"
    np.testing.assert_array_equal(again.sample(8, seed=0).labels, other.sample(8, seed=0).labels)
    assert not [path.name for path in folder.iterdir() if "partial" in path.name or path.name.startswith(".")]


@pytest.mark.parametrize("card", [{"share": float("nan")}, {"what": {1, 2}}], ids=["nan", "set"])
def test_a_card_that_json_cannot_hold_changes_nothing(generator, folder, card):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises((ValueError, TypeError), match="JSON"):
        save_preset(generator, folder, card=card)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_parent_must_exist(generator, tmp_path):
    with pytest.raises(FileNotFoundError, match="must exist"):
        save_preset(generator, tmp_path / "no" / "folder")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no preset folder .*nowhere"):
        load_preset(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "kerasgan3d.json", "model.weights.h5"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"tiny is no complete folder of a generator: it holds no {name}"):
        load_preset(folder)


def test_keras_metadata_and_the_reference_are_not_needed(folder):
    (folder / "metadata.json").unlink()
    (folder / "reference.json").unlink()
    assert load_preset(folder).stride == 4


@pytest.mark.parametrize("name", ["config.json", "kerasgan3d.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ('{"a": "\xff', "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[1, 2]", "must hold a JSON object. Received: list"),
        ("null", "must hold a JSON object. Received: NoneType"),
    ],
    ids=["empty", "cut", "no UTF-8", "nested", "list", "null"],
)
def test_broken_json(folder, name, content, message):
    (folder / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        load_preset(folder)


def test_a_huge_json_file_is_not_read(folder):
    with open(folder / "config.json", "wb") as file:
        file.truncate(4 * 2**20 + 1)
    with pytest.raises(ValueError, match="config.json must hold at most 4194304 bytes. Received: 4194305"):
        load_preset(folder)


def test_a_huge_weights_file_is_not_read(folder):
    with open(folder / "model.weights.h5", "r+b") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(ValueError, match="model.weights.h5 must hold at most 1073741824 bytes"):
        load_preset(folder)


def test_other_weights_are_refused(folder):
    content = bytearray((folder / "model.weights.h5").read_bytes())
    content[-1] ^= 1
    (folder / "model.weights.h5").write_bytes(content)
    with pytest.raises(ValueError, match="is not the file that kerasgan3d.json names: its sha256 is"):
        load_preset(folder)


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)], ids=["empty", "text", "cut"])
def test_damaged_weights_are_refused_where_no_sha256_is_known(folder, content):
    (folder / "model.weights.h5").write_bytes(content)
    change(folder / "kerasgan3d.json", weights=None)
    with pytest.raises(ValueError, match="does not hold the weights of this generator"):
        load_preset(folder)


@pytest.mark.parametrize("arguments", [{"widths": [8, 5]}, {"widths": [8, 6, 4]}, {"latent_channels": 6}], ids=str)
def test_weights_of_another_network_are_refused(folder, arguments):
    change_argument(folder, **arguments)
    with pytest.raises(ValueError, match="does not hold the weights of this generator"):
        load_preset(folder)


@pytest.mark.parametrize(
    "class_name", ["Functional", "Sequential", "GAN3D", "__lambda__", None, ["Generator"]], ids=repr
)
def test_other_classes_are_refused(folder, class_name):
    change(folder / "config.json", class_name=class_name)
    with pytest.raises(ValueError, match="must describe a Generator. Received: "):
        load_preset(folder)


def test_the_class_is_ours_whatever_module_the_file_names(folder):
    change(folder / "config.json", module="os", registered_name="builtins>exec")
    assert type(load_preset(folder)) is Generator


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": []}, r"hyper-parameters that a Generator does not have: \['layers'\]"),
        ({"activation": "x", "function": 1}, r"does not have: \['activation', 'function'\]"),
        ({"widths": [8, 10**12]}, "`widths` must be an integer from 1 to 4096"),
        ({"widths": [4096] * 8}, "must make at most 268435456 weights"),
        ({"widths": []}, "`widths` must hold 1 to 8 channel counts"),
        ({"widths": [2] * 30}, "`widths` must hold 1 to 8 channel counts"),
        ({"widths": 8}, "must give lists of phases and widths"),
        ({"widths": [8, None]}, "`widths` must be an integer"),
        ({"widths": [8, [6]]}, "`widths` must be an integer"),
        ({"latent_channels": 10**9}, "`latent_channels` must be an integer from 1 to 4096"),
        ({"latent_channels": "5"}, "`latent_channels` must be an integer"),
        ({"phases": "abc"}, "must give lists of phases and widths"),
        ({"phases": 3}, "must give lists of phases and widths"),
        ({"phases": ["a"] * 300}, "There must be 1 to 255 phases"),
        ({"phases": [1, 2, 3]}, "A phase name must be a printable string"),
        ({"phases": ["a\x1b[2J", "b"]}, "A phase name must be a printable string"),
        ({"padding": "same"}, "`padding` must be one of"),
        ({"padding": ["valid"]}, "`padding` must be one of"),
        ({"upsampling": {}}, "`upsampling` must be one of"),
        ({"normalization": None}, "`normalization` must be one of"),
        ({"output_bias": "yes"}, "`output_bias` must be one of"),
        ({"output_bias": []}, "`output_bias` must be one of"),
        ({"voxel_size": "1"}, "`voxel_size` must be one positive number"),
        ({"voxel_size": -1}, "`voxel_size` must be one positive number"),
        ({"voxel_size": {}}, "`voxel_size` must be one positive number"),
        ({"voxel_size": 10**400}, "`voxel_size` must be one positive number"),
        ({"initializer": "he_normal"}, "must name an initializer of"),
        ({"initializer": {"class_name": "Lambda", "config": {}}}, "must name an initializer of"),
        ({"initializer": {"class_name": ["HeNormal"], "config": {}}}, "must name an initializer of"),
        ({"initializer": {"class_name": "HeNormal"}}, "must name an initializer of"),
        (
            {"initializer": {"class_name": "RandomNormal", "config": {"mean": 0, "stddev": 1e9}}},
            "initializer out of bounds",
        ),
        ({"initializer": {"class_name": "RandomNormal", "config": {"mean": "x"}}}, "initializer out of bounds"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
def test_other_hyper_parameters_are_refused(folder, arguments, message):
    change_argument(folder, **arguments)
    with pytest.raises(ValueError, match=message):
        load_preset(folder)


@pytest.mark.parametrize("config", [None, [], "x"], ids=repr)
def test_a_configuration_must_be_there(folder, config):
    change(folder / "config.json", config=config)
    with pytest.raises(ValueError, match="must describe a Generator"):
        load_preset(folder)


def test_json_is_written_at_once_or_not_at_all(tmp_path):
    write_json({"a": [1, 2.5, None]}, tmp_path / "x.json")
    assert read_json(tmp_path / "x.json") == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json({"a": float("inf")}, tmp_path / "x.json")
    assert read_json(tmp_path / "x.json") == {"a": [1, 2.5, None]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
