"""Untrusted names and texts, made safe for where they are shown: terminal, JSON, HTML, Markdown."""

import html
import json
import re
import unicodedata
from typing import Any


def printable(text: str) -> str:
    """Return text without control characters, marks of writing direction and lone surrogates."""
    signs = text.replace("\r\n", "\n")
    return "".join(sign if _is_shown(sign) else "\N{REPLACEMENT CHARACTER}" for sign in signs)


def _is_shown(sign):
    return sign.isprintable() or sign in "\n\t" or unicodedata.category(sign) == "Zs"  # spaces of other widths


def clipped(text: str, most: int) -> str:
    """Return a text shortened in its middle to at most ``most`` characters."""
    if len(text) <= most:
        return text
    head = 2 * most // 3
    return f"{text[:head]} ... {text[head + 5 - most :]}"


def shown(value: Any, most: int = 200) -> str:
    """Return a received value as text for the end of an error message, at most ``most`` characters long."""
    return clipped(repr(value), most)


def json_text(value: Any, **options: Any) -> str:
    """Return a value as readable JSON: all printable characters as they are, the others escaped."""
    text = json.dumps(value, ensure_ascii=False, **options)
    return re.sub(r"[^\n -~]", lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def script_json(value: Any) -> str:
    """Return a value as JSON that may stand within a script element."""
    text = json_text(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def html_text(text: Any) -> str:
    """Return a text escaped for HTML and for its attributes; an empty string for None."""
    return "" if text is None else html.escape(printable(str(text)))


def markdown(text: Any) -> str:
    """Return a name escaped for any line of Markdown, tables included."""
    line = printable(" ".join(str(text).split()))
    return re.sub(r"[\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w)|^[#+=-]", r"\\\g<0>", line)


def code(text: Any) -> str:
    """Return a text as inline code in Markdown."""
    line = printable(" ".join(str(text).split()))
    marks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{marks}{line}{marks}" if len(marks) == 1 else f"{marks} {line} {marks}"
