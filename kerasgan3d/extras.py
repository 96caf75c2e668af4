"""Optional libraries, each of which belongs to an extra of the package."""

import importlib
from typing import Any


class MissingLibraryError(ModuleNotFoundError, ValueError):
    """Error raised where an optional library is not installed; the message says how to install it."""


def library(name: str, extra: str, what: str) -> Any:
    """Import a library of an optional extra.

    Args:
        name: Name of the module.
        extra: The extra that installs it, a name of `[project.optional-dependencies]`.
        what: The feature that needs it, for the message.

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
