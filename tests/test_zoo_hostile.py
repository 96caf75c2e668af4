"""Folders that strangers might publish: refused by name, while nothing is executed, written, read or filled."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from kerasgan3d import zoo

FIRST = "convolutions/padded_conv3d/vars/0"


class Payload:
    """What writes a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


def config(folder, change):
    path = folder / "config.json"
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def argument(**changes):
    def spoil(folder, canary):
        config(folder, lambda content: content["config"].update(changes))

    return spoil


def model(**changes):
    def spoil(folder, canary):
        config(folder, lambda content: (content.clear(), content.update(changes)))

    return spoil


def lambda_layer(folder, canary):
    code = f"__import__('os').system('touch {canary}')"
    layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": code}}},
    }
    config(folder, lambda content: content.update(class_name="Sequential", config={"layers": [layer]}))


def lambda_inside(folder, canary):
    config(folder, lambda content: content["config"].update(initializer={"class_name": "Lambda", "config": {}}))


def raw(name, content):
    def spoil(folder, canary):
        (folder / name).write_bytes(content)

    return spoil


def card(**changes):
    def spoil(folder, canary):
        path = folder / "kerasgan3d.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")

    return spoil


def weights(change):
    """Change the file of weights, and the sha256 in the facts with it: the attacker can."""

    def spoil(folder, canary):
        change(folder, canary)
        path = folder / "kerasgan3d.json"
        content = json.loads(path.read_text("utf-8"))
        content["weights"] = None
        path.write_text(json.dumps(content), "utf-8")

    return spoil


def h5(change):
    @weights
    def spoil(folder, canary):
        with h5py.File(folder / "model.weights.h5", "r+") as file:
            change(file, folder)

    return spoil


def external_link(file, folder):
    outside = folder.parent / "outside.h5"
    with h5py.File(outside, "w") as other:
        other["kernel"] = np.zeros(file[FIRST].shape, "f4")
    del file[FIRST]
    file[FIRST] = h5py.ExternalLink(str(outside), "kernel")


def external_link_for_a_group(file, folder):
    del file["layers"]
    file["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file, folder):
    del file[FIRST]
    file[FIRST] = h5py.SoftLink("/convolutions/upsample_conv3d/vars/0")


def external_storage(file, folder):
    shape = file[FIRST].shape
    secret = folder.parent / "secret.bin"
    secret.write_bytes(b"s" * 10**5)
    del file[FIRST]
    file.create_dataset(FIRST, shape, "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual(file, folder):
    shape = file[FIRST].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource(str(folder.parent / "other.h5"), "kernel", shape)
    del file[FIRST]
    file.create_virtual_dataset(FIRST, layout)


def object_array(file, folder):
    del file[FIRST]
    file.create_dataset(FIRST, data=np.array([b"a", b"b"], object), dtype=h5py.special_dtype(vlen=bytes))


def compression_bomb(file, folder):
    del file[FIRST]
    file.create_dataset(FIRST, (40_000, 40_000), "f4", compression="gzip", chunks=(1000, 1000))


def array_without_storage(file, folder):
    del file[FIRST]
    file.create_dataset(FIRST, (10**6, 10**6), "f8")


def another_shape(file, folder):
    shape = file[FIRST].shape
    del file[FIRST]
    file[FIRST] = np.zeros((*shape[:-1], shape[-1] + 1), "f4")


def an_array_too_many(file, folder):
    file["extra"] = np.zeros(10_000, "f4")


def ring_of_groups(file, folder):
    file["layers/again"] = file["/"]


def many_groups(file, folder):
    for i in range(2000):
        file.create_group(f"g{i}")


def deep_groups(file, folder):
    file.create_group("/".join("g" * 500))


def large_attribute(file, folder):
    file.attrs.create("notes", np.zeros(8_000, "f4"))


def integers(file, folder):
    shape = file[FIRST].shape
    del file[FIRST]
    file[FIRST] = np.zeros(shape, "i4")


def references(file, folder):
    shape = file[FIRST].shape
    del file[FIRST]
    file.create_dataset(FIRST, shape, dtype=h5py.ref_dtype)


@weights
def a_pickle_for_weights(folder, canary):
    (folder / "model.weights.h5").write_bytes(pickle.dumps(Payload(canary)))


@weights
def a_zip_for_weights(folder, canary):
    with zipfile.ZipFile(folder / "model.weights.h5", "w") as file:
        file.writestr("../../../escaped", "x" * 10**6)


@weights
def an_npz_for_weights(folder, canary):
    np.savez(folder / "model.weights.npz", a=np.array([Payload(canary)], object))
    (folder / "model.weights.h5").unlink()


@weights
def a_short_file_for_a_large_network(folder, canary):
    config(folder, lambda content: content["config"].update(widths=[2000, 1500, 1000]))


def pickles_beside(folder, canary):
    for name in ("config.pkl", "model.pkl", "__init__.py", "kerasgan3d.py", "setup.py", "conftest.py"):
        (folder / name).write_bytes(pickle.dumps(Payload(canary)))
    (folder / "config.json").write_bytes(pickle.dumps(Payload(canary)))


def link_to(name, target):
    def spoil(folder, canary):
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return spoil


def link_outside(folder, canary):
    shutil.move(folder / "kerasgan3d.json", folder.parent / "elsewhere.json")
    (folder / "kerasgan3d.json").symlink_to("../elsewhere.json")


def link_to_itself(folder, canary):
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")


def pipe(folder, canary):
    (folder / "kerasgan3d.json").unlink()
    os.mkfifo(folder / "kerasgan3d.json")


def sparse(name, size):
    def spoil(folder, canary):
        with open(folder / name, "r+b") as file:
            file.truncate(size)

    return spoil


PAIR = '{"class_name": "Generator", "class_name": "Generator", "config": {}}'
HOSTILE = {
    "a Lambda layer": (lambda_layer, "config.json must describe a Generator. Received: 'Sequential'"),
    "a Lambda inside": (lambda_inside, "config.json must name an initializer of"),
    "a TFSMLayer": (
        model(module="keras.layers", class_name="TFSMLayer", config={"filepath": "/"}),
        "config.json must describe a Generator. Received: 'TFSMLayer'",
    ),
    "a foreign class": (
        model(module="os", class_name="system", config={"command": "id"}),
        "config.json must describe a Generator. Received: 'system'",
    ),
    "a foreign registered name": (
        model(module="builtins", class_name="exec", registered_name="builtins>exec", config={}),
        "must describe a Generator. Received: 'exec'",
    ),
    "a method to call": (argument(layers=[{"class_name": "Dense"}]), r"does not have: \['layers'\]"),
    "widths of 1e12": (argument(widths=[10**12]), "`widths` must be an integer from 1 to 4096"),
    "widths as floats": (argument(widths=[1e12]), "`widths` must be an integer from 1 to 4096"),
    "widths below nothing": (argument(widths=[-8, 6]), "`widths` must be an integer from 1 to 4096"),
    "as many weights as there may be": (argument(widths=[3000, 3000]), "does not hold the weights of this generator"),
    "latent channels without end": (argument(latent_channels=2**62), "`latent_channels` must be an integer"),
    "a voxel of -1": (argument(voxel_size=-1), "`voxel_size` must be one positive number"),
    "NaN": (raw("config.json", b'{"class_name": "Generator", "config": {"voxel_size": NaN}}'), "NaN is no number"),
    "Infinity": (raw("kerasgan3d.json", b'{"voxel_size": -Infinity}'), "kerasgan3d.json is not valid JSON: -Infinity"),
    "1e999": (raw("config.json", b'{"class_name": "Generator", "config": {"a": 1e999}}'), "1e999 is no finite number"),
    "a number of 5,000 digits": (raw("config.json", b'{"a": ' + b"9" * 5000 + b"}"), "config.json is not valid JSON"),
    "names twice": (raw("config.json", PAIR.encode()), "the name 'class_name' stands twice"),
    "deep JSON": (raw("config.json", b'{"a":' * 100_000), "config.json is not valid JSON"),
    "quite deep JSON": (raw("kerasgan3d.json", b'{"a":' * 100 + b"1" + b"}" * 100), "must nest at most 32 levels"),
    "huge JSON": (raw("kerasgan3d.json", b" " * (2**22 + 1)), "kerasgan3d.json must hold at most 4194304 bytes"),
    "JSON of 10 GB": (sparse("config.json", 10**10), "config.json must hold at most 4194304 bytes"),
    "weights of 10 GB": (sparse("model.weights.h5", 10**10), "model.weights.h5 must hold at most 1073741824 bytes"),
    "facts that are no texts": (card(description={"a": 1}), "must give a text .* as 'description'"),
    "a sha256 that is a path": (card(weights={"sha256": "../../x"}), "must give the weights' sha256 as 64"),
    "phases that are none": (card(phases="pore"), "must give a list of names as 'phases'"),
    "other phases": (card(phases=["gold", "silver"]), "must name the phases of config.json"),
    "a newer format": (card(format=99), "must be of format 3 or earlier"),
    "an external link": (h5(external_link), "vars/0 is a link, ExternalLink"),
    "an external link for a group": (h5(external_link_for_a_group), "/layers is a link, ExternalLink"),
    "a soft link": (h5(soft_link), "is a link, SoftLink"),
    "an array in another file": (h5(external_storage), "lies in another file"),
    "a virtual array": (h5(virtual), "is put together of other files"),
    "an array of objects": (h5(object_array), "must hold floating-point numbers, not object"),
    "an array of references": (h5(references), "must hold floating-point numbers, not object"),
    "a compression bomb": (h5(compression_bomb), "must be stored in one piece"),
    "an array of 8 TB that is not stored": (h5(array_without_storage), "claims the shape .* and stores 0 bytes"),
    "weights of another shape": (h5(another_shape), r"there is no array of shape .*; there is one too many of shape"),
    "an array too many": (h5(an_array_too_many), r"there is one too many of shape \(10000,\)"),
    "integers": (h5(integers), "must hold floating-point numbers, not int32"),
    "a ring of groups": (h5(ring_of_groups), "twice|nest more than|does not hold the weights"),
    "many groups": (h5(many_groups), "more than 512 groups and arrays"),
    "deep groups": (h5(deep_groups), "groups nest more than 8 levels"),
    "a large attribute": (h5(large_attribute), "more or larger attributes than weights need"),
    "a pickle for weights": (a_pickle_for_weights, "does not hold the weights of this generator"),
    "an archive for weights": (a_zip_for_weights, "does not hold the weights of this generator"),
    "an npz of objects for weights": (an_npz_for_weights, "holds no model.weights.h5"),
    "weights of 30 kB for a network of 1 GB": (a_short_file_for_a_large_network, "it would take .* bytes or more"),
    "pickles under other names": (pickles_beside, "config.json is not valid JSON"),
    "a link to a secret": (link_to("config.json", "/etc/passwd"), "config.json must be a file of its folder"),
    "a link for weights": (link_to("model.weights.h5", "/dev/zero"), "model.weights.h5 must be a file of its folder"),
    "a link out of the folder": (
        link_outside,
        "must be a file of its folder. Received: a symbolic link to .*elsewhere",
    ),
    "a link to itself": (link_to_itself, "config.json is a symbolic link that leads nowhere"),
    "a pipe": (pipe, "kerasgan3d.json must be a regular file"),
}
LOAD = """
import json, resource, sys
from kerasgan3d import load_generator
load_generator(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told = {}
for name, folder in json.load(sys.stdin).items():
    try:
        load_generator(folder)
        told[name] = ["loaded", ""]
    except Exception as error:
        told[name] = [type(error).__name__, str(error)]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"told": told, "grown": grown}))
"""


@pytest.fixture(scope="module")
def loaded(small_preset, tmp_path_factory):
    """What one process says of all hostile folders, and what else it did."""
    place = tmp_path_factory.mktemp("hostile")
    canary = place / "canary"
    folders = {}
    for i, (name, (spoil, _)) in enumerate(HOSTILE.items()):
        folders[name] = place / str(i) / "blocks"
        shutil.copytree(small_preset, folders[name])
        spoil(folders[name], canary)
    before = sorted(place.rglob("*"))
    result = subprocess.run(
        [sys.executable, "-c", LOAD, str(small_preset)],
        input=json.dumps({name: str(folder) for name, folder in folders.items()}),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )
    found = json.loads(result.stdout.splitlines()[-1])
    written = [str(path) for path in sorted(place.rglob("*")) if path not in before]
    return found | {"canary": canary.exists(), "written": written, "folders": folders}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_by_name(name, loaded):
    import re

    kind, message = loaded["told"][name]
    assert kind in ("ValueError", "FileNotFoundError"), message
    assert re.search(HOSTILE[name][1], message), message
    assert "\n" not in message
    assert str(loaded["folders"][name]) in message
    assert len(message) < 1000


def test_nothing_is_executed_written_or_filled(loaded):
    assert not loaded["canary"]
    assert loaded["written"] == []
    assert loaded["grown"] < 200_000  # kB: a TensorFlow that has loaded a generator grows a little by itself


def test_the_payload_would_be_noticed(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "name",
    ["a Lambda layer", "widths of 1e12", "NaN", "an external link", "a compression bomb", "a pickle for weights"],
)
def test_from_the_hub_it_is_refused_alike(name, hub, client, loaded):
    import re

    folder = loaded["folders"][name]
    hub.add("evil/blocks", {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})
    with pytest.raises(ValueError) as caught:
        zoo.load_generator("evil/blocks")
    assert re.search(HOSTILE[name][1], str(caught.value))


@pytest.mark.parametrize("name", ["deep JSON", "facts that are no texts", "a link out of the folder", "Infinity"])
def test_facts_are_refused_alike(name, loaded):
    with pytest.raises(ValueError, match=HOSTILE[name][1]):
        zoo.info(loaded["folders"][name])
