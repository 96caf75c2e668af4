"""Tables of measurements: in a file, and in the page that shows them."""

import csv
import re

from kerasgan3d.files import replacing


def write(table, rows):
    """Write rows to a CSV file.

    Args:
        table: Path of the file.
        rows: Iterable of rows, the heads of the columns first.
    """
    with replacing(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def put(page, command, markdown):
    """Put a table into a page, between the comment that ends with its command and ``<!-- end -->``.

    Args:
        page: Path of the page.
        command: What makes the table, such as ``docs/measures.py``.
        markdown: The table as lines.
    """
    place = rf"(?<={re.escape(command)} -->\n).*?(?=<!-- end -->)"
    text = re.sub(place, lambda _: markdown, page.read_text(encoding="utf-8"), count=1, flags=re.DOTALL)
    with replacing(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
