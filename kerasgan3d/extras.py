"""Libraries that need not be there: each belongs to an optional extra of the package."""

import importlib
from typing import Any


class MissingLibraryError(ModuleNotFoundError, ValueError):
    """What was asked for needs a library that is not installed; the message says how it is."""


def library(name: str, extra: str, what: str) -> Any:
    """Return a library of an optional extra.

    Args:
        name: The module.
        extra: The extra that brings it, a name of `[project.optional-dependencies]`.
        what: What needs it, for the message.

    Raises:
        MissingLibraryError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            f"{error.name} is not installed; {what} needs {error.name}: pip install 'kerasgan3d[{extra}]'.",
            name=error.name,
        ) from error
