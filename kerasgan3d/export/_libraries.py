"""Libraries of the extra `mesh`, which are large and need not be there."""

import importlib
from typing import Any


def library(name: str, what: str) -> Any:
    """Return a library that something needs.

    Raises:
        ValueError: If it is not installed; the message says how it is.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"{what} needs {error.name}: pip install 'kerasgan3d[mesh]'.") from error
