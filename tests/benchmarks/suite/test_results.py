"""The promise about the slowest answers of the largest page."""

import pytest

from benchmarks.suite import report
from benchmarks.suite.results import Cell, Results, Row, TailTarget

PROMISE = TailTarget("HTML, gzip")
SIZES = {"ours": 3_000_000, "nginx": 1_500_000}


def row(page: str, **cells: tuple[float, float]) -> Row:
    made = {name: Cell(figures=[p50], tails=[p99], size=SIZES[name]) for name, (p50, p99) in cells.items()}
    return Row(f"latency {page}, HTML, gzip", f"{page}, HTML, gzip", "latency", "ms", True, made)


def results(*rows: Row) -> Results:
    found = Results("command", "2026-11-24", 1, {"ours": "", "nginx": ""})
    found.rows += rows
    return found


@pytest.mark.parametrize(("p99", "met"), [(5.0, True), (5.1, False)])
def test_a_large_page_may_take_three_small_ones_and_its_transfer(p99, met):
    """p99 of ours against 3 x p99 of one file + p99 of nginx, whose page is half as long: 3 x 1 + 2 x 1 ms."""
    found = results(row("one file", ours=(0.5, 1.0)), row("43,000 files", ours=(2.5, p99), nginx=(0.2, 1.0)))

    assert PROMISE.figure(found) == pytest.approx(p99 / 5)
    assert PROMISE.met(PROMISE.figure(found)) is met
    assert ("met" if met else "**missed**") in next(line for line in lines(found) if PROMISE.title in line)


def test_without_large_pages_the_promise_is_not_run():
    """The quick form says so instead of leaving it out."""
    found = results(row("one file", ours=(0.5, 1.0), nginx=(0.1, 0.2)))

    assert f"| {PROMISE.title} | not run | | |" in lines(found)


def test_runs_without_latency_are_silent_about_it():
    """As about every other promise that was not asked for."""
    assert not [line for line in lines(results()) if "p99" in line]


def test_latencies_stand_as_median_and_99th_percentile():
    """In milliseconds, beside each other."""
    found = results(row("one file", ours=(0.5, 1.25), nginx=(0.1, 0.2)))

    assert "| one file, HTML, gzip (ms) | 0.50 / 1.25 | 0.10 / 0.20 |" in report.table(found, "latency")


@pytest.mark.parametrize(("said", "told"), [("bbr\n", ", and TCP uses bbr"), (None, "")])
def test_the_report_names_what_tcp_uses_where_the_kernel_says_so(tmp_path, monkeypatch, said, told):
    """Ratios of files of a megabyte differ with it; other systems do not say."""
    place = tmp_path / "control"
    if said is not None:
        place.write_text(said)
    monkeypatch.setattr(report, "CONGESTION_CONTROL", place)

    assert report.congestion_control() == told
    report.write(results(), tmp_path / "report.md", 2)
    assert ("TCP uses bbr" in (tmp_path / "report.md").read_text()) is bool(told)


def lines(found: Results) -> list[str]:
    return report.targets(found).splitlines()
