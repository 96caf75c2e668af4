"""What the house is built like, read from its syntax trees: imports go down, and heavy libraries stay where needed."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import kerasgan3d

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"kerasgan3d": ROOT / "kerasgan3d", "kerasgan3d.zoo": ROOT / "zoo", "kerasgan3d.cli": ROOT / "cli"}

# What lies on one floor may import from its own room and from lower floors; the most specific name counts.
FLOORS = [
    ["kerasgan3d.texts"],
    ["kerasgan3d.checks", "kerasgan3d.deprecation", "kerasgan3d.files", "kerasgan3d.seeds", "kerasgan3d.upward"]
    + ["kerasgan3d.progress", "kerasgan3d.quiet", "kerasgan3d.extras"],
    ["kerasgan3d.phases", "kerasgan3d.folder", "kerasgan3d.crops", "kerasgan3d.palette", "kerasgan3d.lock"],
    ["kerasgan3d.io"],
    ["kerasgan3d.volume"],
    ["kerasgan3d.layers", "kerasgan3d.metrics", "kerasgan3d.backend"]
    # What every picture is drawn with, that of a training run too.
    + ["kerasgan3d.report.style", "kerasgan3d.report.files"],
    ["kerasgan3d.data", "kerasgan3d.sampling", "kerasgan3d.export"],
    ["kerasgan3d.material", "kerasgan3d.report.run_figure"],
    ["kerasgan3d.models", "kerasgan3d.differentiable"],
    ["kerasgan3d.training"],
    ["kerasgan3d.report"],
    ["kerasgan3d.zoo"],
    ["kerasgan3d.steering"],
    ["kerasgan3d.cli"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
WITHOUT_KERAS = (
    "kerasgan3d.checks",
    "kerasgan3d.deprecation",
    "kerasgan3d.seeds",
    "kerasgan3d.texts",
    "kerasgan3d.crops",
    "kerasgan3d.phases",
    "kerasgan3d.palette",
    "kerasgan3d.volume",
    "kerasgan3d.files",
    "kerasgan3d.folder",
    "kerasgan3d.lock",
    "kerasgan3d.io",
)
WITHOUT_KERAS += (
    "kerasgan3d.metrics",
    "kerasgan3d.export",
    "kerasgan3d.sampling",
    "kerasgan3d.material",
    "kerasgan3d.report",
    "kerasgan3d.cli",
)
# The one function of these rooms that trains a network.
MAY_LOAD_KERAS = {("kerasgan3d.report.classifier", "_network")}
HEAVY = {"keras", "tensorflow", "torch", "jax"}


def _modules():
    """Name and syntax tree of each module of the package."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = list(path.relative_to(folder).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            yield ".".join([package, *parts]), ast.parse(path.read_text("utf-8"))


MODULES = dict(_modules()) if (ROOT / "pyproject.toml").is_file() else {}
pytestmark = pytest.mark.skipif(not MODULES, reason="the tests were taken out of the repository")


def for_type_checkers(node):
    """Tell whether a statement is a block that only type checkers read."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(tree):
    """Every import of a module that runs: (its name, the innermost function that it is in or None)."""
    found = []

    def visit(node, function):
        for child in ast.iter_child_nodes(node):
            if for_type_checkers(child):
                continue
            inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            if isinstance(child, ast.Import):
                found.extend((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "imports are absolute"
                for alias in child.names:
                    name = f"{child.module}.{alias.name}"
                    found.append((name if name in MODULES else child.module, inside))
            visit(child, inside)

    visit(tree, None)
    return found


def room(name):
    """The most specific room that a module belongs to."""
    parts = name.split(".")
    for n in range(len(parts), 1, -1):
        if ".".join(parts[:n]) in FLOOR:
            return ".".join(parts[:n])
    return None


def test_every_module_is_in_a_room():
    assert [name for name in MODULES if name != "kerasgan3d" and room(name) is None] == []
    assert all(name in MODULES for name in FLOOR)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "kerasgan3d"])
def test_imports_go_down(name):
    mine = room(name)
    wrong = []
    for imported, _ in imports(MODULES[name]):
        if imported == "kerasgan3d" or not imported.startswith("kerasgan3d."):
            continue
        theirs = room(imported)
        same_room = theirs == mine or (theirs.startswith(f"{mine}.") and name == mine)
        if same_room or FLOOR[theirs] < FLOOR[mine]:
            continue
        wrong.append(f"{name} imports {imported}")
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in MODULES if name != "kerasgan3d"])
def test_the_whole_package_is_imported_for_nothing_but_its_version_or_its_lazy_names(name):
    # `import kerasgan3d` is light, and what it exports is above most rooms: only the command line may go through it.
    if room(name) == "kerasgan3d.cli":
        return
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            assert "kerasgan3d" not in [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module == "kerasgan3d":
            names = {alias.name for alias in node.names}
            assert all(f"kerasgan3d.{n}" in MODULES for n in names - {"__version__"})


def circles(graph):
    """The sets of modules that import one another, from a dict of what each imports."""

    def reached(name):
        found, todo = set(), list(graph[name])
        while todo:
            other = todo.pop()
            if other not in found:
                found.add(other)
                todo.extend(graph[other])
        return found

    beyond = {name: reached(name) for name in graph}
    return {frozenset(b for b in beyond[a] if a in beyond[b]) for a in graph if a in beyond[a]}


def test_no_modules_import_one_another():
    # Also from inside functions, where Python would not mind.
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {frozenset("bc")}
    graph = {name: {to for to, _ in imports(tree) if to in MODULES} - {name} for name, tree in MODULES.items()}
    assert circles(graph) == set()


def test_few_hand_up_and_what_they_hand_up_to_is_there():
    found = set()
    for name, tree in MODULES.items():
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "upward":
                    module = ast.literal_eval(call.args[0])
                    assert FLOOR[room(f"kerasgan3d.{module}")] > FLOOR[room(name)]
                    if isinstance(call.args[1], ast.Constant):
                        assert hasattr(importlib.import_module(f"kerasgan3d.{module}"), call.args[1].value)
                    found.add((name, function.name))
    assert found == {
        ("kerasgan3d.io.volume", "plot"),
        ("kerasgan3d.io.volume", "view"),
        ("kerasgan3d.io.volume", "_repr_html_"),
        ("kerasgan3d.metrics.record", "_repr_html_"),
        ("kerasgan3d.models.generator", "_repr_html_"),
        ("kerasgan3d.models.sampling", "extend"),
        ("kerasgan3d.report.compare", "named"),
    }


def test_the_package_itself_imports_none_of_its_modules():
    assert [n for n, _ in imports(MODULES["kerasgan3d"]) if n.startswith("kerasgan3d")] == []


def test_type_checkers_see_what_the_package_imports_when_asked():
    (block,) = filter(for_type_checkers, MODULES["kerasgan3d"].body)
    modules, names = [], {}
    for node in block.body:
        if isinstance(node, ast.Import):
            modules += [(alias.name, alias.asname) for alias in node.names]
        else:
            names |= {alias.name: node.module for alias in node.names}
    assert names == kerasgan3d._EXPORTS
    listed = [name for name in kerasgan3d.__all__ if name not in {"__version__", *names}]
    assert modules == [(f"kerasgan3d.{name}", name) for name in listed]


def test_the_package_exports_what_there_is():
    for name, module in kerasgan3d._EXPORTS.items():
        assert module in MODULES
        defined = {
            alias.asname or alias.name
            for node in ast.walk(MODULES[module])
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        } | {node.name for node in MODULES[module].body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in defined
    modules = set(kerasgan3d.__all__) - set(kerasgan3d._EXPORTS) - {"__version__"}
    assert all(f"kerasgan3d.{name}" in MODULES for name in modules)
    assert len(set(kerasgan3d.__all__)) == len(kerasgan3d.__all__) == len(kerasgan3d._EXPORTS) + len(modules) + 1
    with pytest.raises(AttributeError, match="module 'kerasgan3d' has no attribute 'nothing'"):
        kerasgan3d.nothing  # noqa: B018


def without_keras(name):
    return any(name == light or name.startswith(f"{light}.") for light in WITHOUT_KERAS)


@pytest.mark.parametrize("name", [name for name in MODULES if name == "kerasgan3d" or without_keras(name)])
def test_no_keras_where_none_is_needed(name):
    wanted = {
        imported.split(".")[0]
        for imported, function in imports(MODULES[name])
        if (name, function) not in MAY_LOAD_KERAS
    }
    assert not wanted & HEAVY


@pytest.mark.parametrize(
    "statement",
    [
        "import kerasgan3d.metrics, kerasgan3d.io, kerasgan3d.report",
        "import kerasgan3d.sampling, kerasgan3d.sampling.stream",
        "import kerasgan3d.phases, kerasgan3d.volume, kerasgan3d.folder, kerasgan3d.data",
        "from kerasgan3d import Volume, PhaseMap, LatentField, render, metrics",
        "import kerasgan3d.cli",
    ],
)
def test_light_imports_load_no_keras(statement):
    code = f"import sys\n{statement}\nprint(*set({sorted(HEAVY)!r}) & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_volumes_load_no_library_of_files_before_they_need_one():
    libraries = {"tifffile", "zarr", "h5py", "dask", "scipy"}
    code = f"import sys\nfrom kerasgan3d.volume import Volume\nprint(*set({sorted(libraries)!r}) & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_one_file_is_specific_to_a_backend_in_training():
    users = {n for n in MODULES for imported, _ in imports(MODULES[n]) if imported.split(".")[0] in HEAVY - {"keras"}}
    assert {n for n in users if room(n) in ("kerasgan3d.training", "kerasgan3d.backend")} == {"kerasgan3d.backend"}
    assert not {n for n in users if room(n) in ("kerasgan3d.layers", "kerasgan3d.differentiable")}


def test_nobody_imports_zoo_or_cli_by_their_bare_names():
    trees = {**MODULES, **{path.name: ast.parse(path.read_text("utf-8")) for path in (ROOT / "tests").rglob("*.py")}}
    bare = [
        (n, imported)
        for n, tree in trees.items()
        for imported, _ in imports(tree)
        if imported.split(".")[0] in ("zoo", "cli")
    ]
    assert bare == []


def test_the_packages_are_the_folders():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = [
        ".".join([package, *path.parent.relative_to(folder).parts])
        for package, folder in FOLDERS.items()
        for path in folder.rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(folders)


def test_package_data_exist():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    for package, patterns in data.items():
        folder = FOLDERS.get(package) or FOLDERS["kerasgan3d"].joinpath(*package.split(".")[1:])
        # Generators come and go; tests of the shipped ones are elsewhere.
        for pattern in set(patterns) - {"presets/*/*"}:
            assert list(folder.glob(pattern)), f"{package}: {pattern}"


def test_no_paths_of_a_machine_in_text_files():
    # Put together here, so that this file does not hold them itself.
    private = [
        "/" + "/".join(parts) for parts in (("work", ""), ("home", ""), ("root", ""), ("Users", ""), ("tmp", "w", ""))
    ]
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the files are not in a git repository")
    found = []
    for path in filter(Path.is_file, (ROOT / name for name in listed.split("\0") if name)):
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        text = content.decode("utf-8")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in private if word in text]
    assert found == []
