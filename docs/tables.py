"""Tables of measurements: in a file, and in the page that shows them."""

import csv
import re

from scipy import stats

from kerasgan3d.files import replacing
from kerasgan3d.metrics.registry import SAMPLED, places


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


def tested(one, other, phases):
    """Yield what was measured of two sets of volumes, the deviation of the first, and p of Welch's test, row by row."""
    for key, row in SAMPLED.items():
        if key not in one:
            continue
        for place in places(row, phases):
            a, b = (side[key][(slice(None), *place.index)] for side in (one, other))
            a, b = (values.reshape(len(values), -1).mean(-1) for values in (a, b))
            of = " ".join(filter(None, (place.phase, place.other, place.axis)))
            p = stats.ttest_ind(a, b, equal_var=False).pvalue if a.std() + b.std() else 1.0
            yield key, of, *(f"{value:.4g}" for value in (a.mean(), b.mean(), a.std(ddof=1))), f"{p:.3f}"
