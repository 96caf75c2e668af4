"""Versions of the generators that ship: a seed names a structure only together with weights.

``versions.json`` lists for each name all versions that ever shipped, oldest first: "version", "sha256" of the file of
weights, and where the weights are: "kerasgan3d", a release of the package; "commit", one of its repository; "repo" and
"revision", a repository on the Hub and a commit of it. Whoever ships other weights adds an entry, and says in the
changelog which seeds change.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kerasgan3d.texts import shown


@dataclass(frozen=True)
class Version:
    """A version of a shipped generator.

    Attributes:
        version: Its version.
        sha256: Digest of the file of weights.
        kerasgan3d: A release of the package with these weights, or None.
        commit: A commit of the package's repository with them, or None.
        repo, revision: A repository on the Hub and a commit of it with them, or None.
    """

    version: str
    sha256: str
    kerasgan3d: str | None = None
    commit: str | None = None
    repo: str | None = None
    revision: str | None = None

    @property
    def place(self) -> str:
        """Where to get it, as a text; empty where that is unknown."""
        places = (
            self.kerasgan3d and f"kerasgan3d {self.kerasgan3d} (pip install kerasgan3d=={self.kerasgan3d})",
            self.repo and f"{self.repo}@{self.revision} on the Hub",
            self.commit and f"commit {self.commit} of kerasgan3d's repository",
        )
        return " and ".join(filter(None, places))


@cache
def versions(name: str) -> tuple[Version, ...]:
    """Return the versions in which a generator has shipped, oldest first; none for names that never shipped."""
    table = json.loads(Path(__file__).with_name("versions.json").read_text("utf-8"))
    return tuple(Version(**entry) for entry in table.get(name, ()))


def told_version(name: str, revision: str, shipped: str | None) -> str:
    """Say that a shipped generator is not there in the version that is asked for, and where that one is."""
    known = next((entry for entry in versions(name) if revision in (entry.version, entry.sha256)), None)
    ships = "a version without a number" if shipped is None else f"version {shipped}"
    elsewhere = (
        f"Version {known.version} is in {known.place}."
        if known and known.place
        else "Other versions come with other releases of kerasgan3d, or from the Hub as org/name with a revision."
    )
    return (
        f"`revision` must be None for a shipped generator, or its version. {name} ships here in {ships}. "
        f"{elsewhere} Received: {shown(revision)}."
    )
