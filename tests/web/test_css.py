"""Colours can be read: WCAG 2.2 contrast of every pair of text and ground that the sheet uses."""

import re
from pathlib import Path

import pytest

SHEET = (Path(__file__).parents[2] / "templates/static/pkgindex.css").read_text()
TEXT = [
    *[(text, ground) for text in ("text", "quiet", "accent") for ground in ("ground", "panel", "sunk")],
    ("on-accent", "accent-ground"),
    ("good", "good-ground"),
    ("warn", "warn-ground"),
    ("bad", "bad-ground"),
    ("calm", "calm-ground"),
    ("text", "warn-ground"),
    ("text", "bad-ground"),
]
EDGES = [("quiet", "panel"), ("focus", "ground"), ("focus", "panel")]


def palettes():
    """The light and the dark colours by name."""
    light, dark = re.findall(r":root \{(.*?)\}", SHEET, re.DOTALL)
    read = [dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6});", block)) for block in (light, dark)]
    return {"light": read[0], "dark": read[0] | read[1]}


def luminance(colour):
    """Relative luminance as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """From 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_edges_have_contrast(scheme):
    """Text has 4.5:1 (AA), edges of fields and the focus ring 3:1, in both schemes."""
    colours = palettes()[scheme]

    weak = [pair for pair in TEXT if contrast(colours[pair[0]], colours[pair[1]]) < 4.5]
    weak += [pair for pair in EDGES if contrast(colours[pair[0]], colours[pair[1]]) < 3]

    assert weak == []


def test_sheet_brings_nothing_from_elsewhere():
    """No import, font or image of another host."""
    assert not re.search(r"@import|url\(|https?:", SHEET)
