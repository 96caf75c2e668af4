"""Answers of a hub that is evil, or of somebody in between: of little memory, of an end, and told in a line."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import zlib

import pytest
from huggingface_hub.utils import close_session

from kerasgan3d import zoo
from kerasgan3d.folder import read_json
from kerasgan3d.zoo import hub_answers


def bomb():
    """A gzip stream's middle, over and over: 64 kB of what unpack to 64 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return head, (packer.compress(b" " * 2**26) + packer.flush(zlib.Z_FULL_FLUSH))


LISTS = [{"id": "a/b", "sha": 5, "tags": 7, "downloads": [], "siblings": 9, "lastModified": {}, "private": "x"}]
TOO_LONG, TOO_SLOW = "what the Hub answers is longer than 8388608 bytes", "the Hub answers too slowly to wait for it"
NO_JSON, NO_OBJECT = "is not the Hub: it sends no JSON", "is not the Hub: it must send a dict. Received: list"
NOBODY = "there is no evil/{} on the Hub, or it is private"
# What is asked for, the fault, and what is said of it.
ANSWERS = {
    "body": ("", {"kind": "endless"}, TOO_LONG),
    "spaces": ("", {"kind": "endless", "part": b" " * 2**16}, TOO_LONG),
    "missing": ("", {"kind": "endless", "status": 404}, NOBODY),
    "elsewhere": ("", {"kind": "endless", "status": 302, "headers": {"Location": "/api/models/evil/missing"}}, NOBODY),
    "bomb": ("", {"kind": "endless", "headers": {"Content-Encoding": "gzip"}, "part": b"".join(bomb())}, TOO_LONG),
    "drip": ("", {"kind": "endless", "part": b" ", "seconds": 0.05}, TOO_SLOW),
    "dripping-404": ("", {"kind": "endless", "part": b" ", "seconds": 0.05, "status": 404}, TOO_SLOW),
    "headers": ("", {"kind": "drip", "seconds": 0.05}, TOO_SLOW),
    "list": ("", {"kind": "says", "body": b"[1,2]"}, NO_OBJECT),
    "list-404": ("", {"kind": "says", "body": b"[1,2]", "status": 404}, NOBODY),
    "number": ("", {"kind": "says", "body": b'{"sha": 7, "siblings": 5, "tags": 3}'}, "must name evil/number a commit"),
    "brackets": ("", {"kind": "says", "body": b"[" * 200_000}, NO_JSON),
    "digits": ("", {"kind": "says", "body": b"9" * 200_000}, NO_JSON),
    "many": ("", {"kind": "says", "body": b'{"a":[' + b"[]," * 2_700_000 + b"1]}"}, "must name evil/many a commit"),
    "tree": ("/tree/", {"kind": "endless"}, TOO_LONG),
    "tree-drip": ("/tree/", {"kind": "endless", "part": b" ", "seconds": 0.05}, TOO_SLOW),
    "tree-number": ("/tree/", {"kind": "says", "body": b"5"}, "must send a list. Received: int"),
    "tree-list": ("/tree/", {"kind": "says", "body": b"[1,2]"}, "evil/tree-list must hold a generator"),
    "file": ("config.json", {"kind": "endless"}, "is longer than the .* bytes that the Hub lists"),
    "file-404": ("config.json", {"kind": "endless", "status": 404}, NOBODY),
    "file-drip": ("config.json", {"kind": "endless", "part": b" ", "seconds": 0.05}, TOO_SLOW),
    "file-headers": ("config.json", {"kind": "drip", "seconds": 0.05}, TOO_SLOW),
}
ASK = r"""
import json, re, sys, time
from kerasgan3d import zoo
from kerasgan3d.folder import read_json
from kerasgan3d.zoo import hub, hub_answers
hub._WAITS = (0.01, 0.02)
def used():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\s*(\d+) kB", file.read())[1])
try:
    zoo.info("evil/none")
except ValueError:
    before = used()
told = {}
for name, seconds in json.loads(sys.argv[1]).items():
    hub_answers.FILES_SECONDS = hub.ANSWER_SECONDS = seconds
    began = time.monotonic()
    try:
        told[name] = ["nothing", str(zoo.info(f"evil/{name}"))]
    except Exception as error:
        told[name] = [type(error).__name__, str(error)]
    told[name] += [time.monotonic() - began, used() - before]
print(json.dumps(told))
"""


def test_no_answer_takes_much_memory_or_time(hub, hub_env, small_files):
    """The real client, in a process of its own, and each answer of the table in turn."""
    for name in sorted(ANSWERS, reverse=True):  # of names that begin alike the longer first
        path, fault, _ = ANSWERS[name]
        hub.add(f"evil/{name}", small_files)
        place = {"": f"models/evil/{name}", "/tree/": f"models/evil/{name}/tree/"}.get(path, f"evil/{name}/resolve/")
        hub.fault(**fault, path=place)
    # Of 45 s and 60 s in earnest.
    seconds = {name: 1.0 if message == TOO_SLOW else 60.0 for name, (_, _, message) in ANSWERS.items()}
    asked = [sys.executable, "-c", ASK, json.dumps(seconds)]
    result = subprocess.run(asked, env=hub_env, capture_output=True, text=True, timeout=300, check=True)
    wrong = {}
    for name, (kind, message, took, grown) in json.loads(result.stdout).items():
        good = kind.endswith("Error") and re.search(ANSWERS[name][2].format(name), message) and "\n" not in message
        if not good or len(message) > 500 or took > seconds[name] + 5 or grown > 450_000:
            wrong[name] = (kind, message[:300], took, grown)
    assert wrong == {}


def test_a_listing_of_generators_is_checked(hub, client):
    hub.fault("says", path="/api/models", body=json.dumps([*LISTS, 1, {"id": 5}, {"id": "../../x"}]).encode())
    (found,) = zoo.search()
    assert found.pop("name") == "a/b"
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "endless"}, TOO_LONG),
        ({"kind": "says", "body": b"[1,2]"}, "is not the Hub: it answers in another shape"),
        ({"kind": "says", "body": b"[" * 200_000}, "is not the Hub: it"),
        ({"kind": "endless", "part": b" ", "seconds": 0.05}, TOO_SLOW),
        ({"kind": "endless", "status": 404}, TOO_LONG),
        ({"kind": "status", "status": 429, "headers": {"Retry-After": "1000000"}}, "answers with an error|too slowly"),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("path", ["/api/repos/create", "/preupload/", "/commit/"])
def test_answers_to_what_is_published_are_bounded_alike(fault, message, path, hub, client, small_preset, monkeypatch):
    close_session()  # as the client does where a connection breaks: the next session must be bounded, too
    seconds = 60.0 if message == TOO_LONG else 1.0  # a busy machine takes its time to read so much
    monkeypatch.setattr("kerasgan3d.zoo.hub.ANSWER_SECONDS", seconds)
    monkeypatch.setattr("kerasgan3d.zoo.hub.FILES_SECONDS", seconds)
    monkeypatch.setattr("kerasgan3d.zoo.publishing.check_publishable", lambda *_: None)
    client("hf_Kwrite0123")
    hub.fault(**fault, path=path, method="POST")
    with pytest.raises(OSError, match=message):
        zoo.publish(small_preset, "org/blocks")


def test_what_others_read_by_the_same_client_is_not_bounded(hub, client, small_files):
    from huggingface_hub import hf_hub_download

    hub.add("org/blocks", small_files)
    url = f"{hub.url}/org/blocks/resolve/main/model.weights.h5"
    asked = hub_answers.in_time(lambda: iter([hub_answers.session().get(url)]), lambda: 9, limit=1000)
    with pytest.raises(OSError, match="longer than 1000 bytes"):
        next(asked)
    assert hub_answers.session().get(url).content == small_files["model.weights.h5"]
    path = hf_hub_download("org/blocks", "model.weights.h5", cache_dir=str(client.home))
    assert pathlib.Path(path).read_bytes() == small_files["model.weights.h5"]


@pytest.mark.usefixtures("signals_heard")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_pull_that_is_ended_ends_and_goes_on_later(number, code, hub, hub_env, client, small_files):
    hub.add("org/blocks", small_files)
    hub.fault("endless", path="model.weights.h5", part=b"x", seconds=0.05, times=1)
    command = [sys.executable, "-m", "kerasgan3d.cli", "pull", "org/blocks"]
    process = subprocess.Popen(command, env=hub_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not any("model.weights.h5" in path for _, path, *_ in hub.requests):
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert said.endswith("kerasgan3d: interrupted\n")
    assert zoo.pull("org/blocks").files["model.weights.h5"] == len(small_files["model.weights.h5"])


def test_names_that_stand_twice_are_found_in_linear_time(tmp_path):
    names = ",".join(f'"{i}":0' for i in range(60_000))
    (tmp_path / "kerasgan3d.json").write_text(f'{{{names},"59999":1}}')
    began = time.monotonic()
    with pytest.raises(ValueError, match="the name '59999' stands twice"):
        read_json(tmp_path / "kerasgan3d.json")
    assert time.monotonic() - began < 5
