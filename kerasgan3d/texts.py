"""Names and other texts that strangers write, for where they go: a reader, a terminal, JSON, HTML, Markdown."""

import html
import json
import re
import unicodedata
from typing import Any


def printable(text: str) -> str:
    """Return text without what a terminal or a page would obey: controls, directions of writing, halves of signs."""
    signs = text.replace("\r\n", "\n")
    return "".join(sign if _is_shown(sign) else "\N{REPLACEMENT CHARACTER}" for sign in signs)


def _is_shown(sign):
    return sign.isprintable() or sign in "\n\t" or unicodedata.category(sign) == "Zs"  # spaces of other widths


def clipped(text: str, most: int) -> str:
    """Return text of at most so many characters, cut in its middle where it is longer."""
    if len(text) <= most:
        return text
    head = 2 * most // 3
    return f"{text[:head]} ... {text[head + 5 - most :]}"


def shown(value: Any, most: int = 200) -> str:
    """Return what came, for the end of an error: never longer than a line."""
    return clipped(repr(value), most)


def json_text(value: Any, **options: Any) -> str:
    """Return a value as JSON for readers: signs as they are, but for those that are not printable."""
    text = json.dumps(value, ensure_ascii=False, **options)
    return re.sub(r"[^\n -~]", lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def script_json(value: Any) -> str:
    """Return a value as JSON that may stand within a script element."""
    text = json_text(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def html_text(text: Any) -> str:
    """Return a text that may stand in HTML and in its attributes; nothing for None."""
    return "" if text is None else html.escape(printable(str(text)))


def markdown(text: Any) -> str:
    """Return a name that may stand anywhere in a line of Markdown, tables included."""
    line = printable(" ".join(str(text).split()))
    return re.sub(r"[\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w)|^[#+=-]", r"\\\g<0>", line)


def code(text: Any) -> str:
    """Return a text as code in a line of Markdown."""
    line = printable(" ".join(str(text).split()))
    marks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{marks}{line}{marks}" if len(marks) == 1 else f"{marks} {line} {marks}"
