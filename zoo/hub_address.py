"""Names of generators on the Hub."""

import re
from dataclasses import dataclass
from typing import Any

SCHEME = "hf://"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[\w][\w.+/-]{0,199}", re.ASCII)
# Such a name is that of a missing file, not of a repository.
_IMAGES = (".tif", ".tiff", ".npy", ".npz", ".zarr", ".vti", ".h5", ".hdf5", ".png", ".jpg", ".raw", ".json", ".keras")


@dataclass(frozen=True)
class Address:
    """A repository on the Hub and a revision of it: a branch, a tag, a commit, or None for its main branch."""

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


def parse(name: Any, revision: str | None = None) -> Address | None:
    """Return the Address of a name, or None where it cannot be that of a repository.

    Args:
        name: "org/name", "org/name@revision", either with "hf://" in front.
        revision: The revision, where the name has none.

    Raises:
        ValueError: if it begins with "hf://" and is not an address, or has two revisions, or an invalid one.
    """
    if not isinstance(name, str):
        return None
    explicit = name.startswith(SCHEME)
    repo, at, given = name.removeprefix(SCHEME).partition("@")
    good = (
        REPOSITORY.fullmatch(repo) and ".." not in repo and "--" not in repo and not repo.endswith((".git", ".", "-"))
    )
    if not good or (not explicit and repo.lower().endswith(_IMAGES)):
        if explicit:
            raise ValueError(f"an address on the Hub must be hf://org/name, or that and @revision. Received: {name}.")
        return None
    if at and revision is not None and given != revision:
        raise ValueError(f"`revision` must be None where the name has one. Received: {name!r} and {revision!r}.")
    revision = given if at else revision
    if revision is not None and not _is_revision(revision):
        raise ValueError(f"`revision` must be a branch, a tag or a commit. Received: {revision!r}.")
    return Address(repo, revision)


def _is_revision(revision):
    return (
        isinstance(revision, str)
        and _REVISION.fullmatch(revision)
        and not any(part in ("", ".", "..") or part.endswith(".lock") for part in revision.split("/"))
        and ".." not in revision
    )
