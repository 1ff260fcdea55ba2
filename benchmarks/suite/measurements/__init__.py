"""What is measured, in the order of the report."""

from benchmarks.suite.corpus import Corpus
from benchmarks.suite.measurements import downloads, installs, latency, pages, uploads
from benchmarks.suite.measurements.base import Measurement

__all__ = ["PARTS", "Measurement", "chosen"]

PARTS = ("read", "latency", "download", "upload", "install")


def chosen(parts: list[str], corpus: Corpus, *, quick: bool) -> list[Measurement]:
    """The measurements of those parts."""
    found: list[Measurement] = []
    if "read" in parts:
        found += pages.rows(corpus, 1.0 if quick else 2.0)
    if "latency" in parts:
        found += latency.rows(corpus, 1.0 if quick else 5.0)
    if "download" in parts:
        found += downloads.rows(quick=quick)
    if "upload" in parts:
        found += uploads.rows(quick=quick)
    if "install" in parts:
        found += installs.rows()
    return found
