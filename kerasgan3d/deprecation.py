"""Deprecated keywords and names, which keep working for one release and warn with the new name."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def warn_renamed(old: str, new: str, stacklevel: int = 2) -> None:
    """Warn that a name has changed.

    Args:
        old: The old name, as the caller writes it.
        new: The new name.
        stacklevel: Whose line the warning shows: 1 is the caller of this function, 2 the caller of that.
    """
    warnings.warn(
        f"`{old}` is called `{new}` now; the old name goes with the next release.",
        DeprecationWarning,
        stacklevel=stacklevel + 1,
    )


def renamed(old: str, new: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function accept a keyword by its old name too, with a DeprecationWarning that gives the new one.

    Decorators for several keywords can be stacked. The signature stays that of the function: type checkers and `help`
    know only the new name.

    Args:
        old: The old keyword.
        new: The function's own keyword.

    Example:
        >>> @renamed("colour", "color")
        ... def paint(color="red"):
        ...     return color
        >>> paint(color="blue")
        'blue'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        # Stacked decorators are merged into one, so that the warning points at the caller's line.
        names: dict[str, str] = {**getattr(function, "renamed_keywords", {}), old: new}
        target: Callable[..., R] = getattr(function, "__wrapped__") if len(names) > 1 else function  # noqa: B009

        @functools.wraps(target)
        def renaming(*args: Any, **keywords: Any) -> R:
            for before in names.keys() & keywords.keys():
                after = names[before]
                if after in keywords:
                    raise TypeError(f"`{after}` was given twice, once by its old name `{before}`.")
                warn_renamed(before, after)
                keywords[after] = keywords.pop(before)
            return target(*args, **keywords)

        # For code that does not look through decorators: Keras inspects the arguments of constructors.
        setattr(renaming, "__signature__", inspect.signature(target))  # noqa: B010
        setattr(renaming, "renamed_keywords", names)  # noqa: B010
        return renaming

    return decorate
