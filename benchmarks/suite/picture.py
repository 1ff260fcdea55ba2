"""The plot: bars for a few rows as SVG, on a scale of powers of ten."""

import math
from html import escape
from pathlib import Path

from benchmarks.suite.results import Results, Row

WIDTH, BAR, GAP, LEFT, RIGHT = 760, 16, 34, 150, 110
SHOWN = (
    "read one file, HTML, identity",
    "read 500 files, HTML, identity",
    "read 500 files, JSON, gzip",
    "download 1 MB wheel",
    "download 100 MB wheel",
    "upload *",
    "install uv pip install*",
)
OURS, CONTROL, PEER = "#2563eb", "#64748b", "#cbd5e1"


def write(results: Results, path: Path) -> None:
    """Write the picture; where nothing of what it shows was measured it is empty."""
    parts: list[str] = []
    top = 10
    for pattern in SHOWN:
        row = next((row for row in results.rows if _matches(row, pattern)), None)
        if row is not None:
            drawn, height = panel(row, top)
            parts += drawn
            top += height
    style = "<style>text{font:12px sans-serif;fill:#111827}.t{font-weight:bold}</style>"
    body = f'<rect width="{WIDTH}" height="{top}" fill="white"/>' + "".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}">{style}{body}</svg>\n'
    )


def _matches(row: Row, pattern: str) -> bool:
    return row.key.startswith(pattern[:-1]) if pattern.endswith("*") else row.key == pattern


def panel(row: Row, top: int) -> tuple[list[str], int]:
    """The bars of one row, the best first, and how high they are together."""
    found = [(name, median) for name in row.cells if (median := row.median(name))]
    found.sort(key=lambda pair: pair[1], reverse=not row.lower_is_better)
    parts = [f'<text class="t" x="10" y="{top + 14}">{escape(row.title)} ({escape(row.unit)})</text>']
    if not found:
        return parts, GAP
    low = 10.0 ** math.floor(math.log10(min(value for _, value in found)) - 0.3)
    high = max(value for _, value in found)
    for place, (name, value) in enumerate(found):
        y = top + 22 + place * (BAR + 4)
        length = (WIDTH - LEFT - RIGHT) * math.log(value / low) / math.log(high / low)
        colour = OURS if name.startswith("ours") else CONTROL if name.startswith("control") else PEER
        parts.append(f'<text x="{LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + 12}">{value:,.4g}</text>')
    return parts, 22 + len(found) * (BAR + 4) + GAP - 12
