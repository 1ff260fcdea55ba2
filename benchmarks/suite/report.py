"""The table for the terminal and the report in Markdown."""

import platform
from contextlib import suppress
from pathlib import Path

from benchmarks.suite.environments import version
from benchmarks.suite.measurements import installs, latency, uploads
from benchmarks.suite.measurements.downloads import DownloadRow
from benchmarks.suite.results import TARGETS, Cell, Results, Row

PARTS = {
    "read": "Pages",
    "latency": "Latency",
    "download": "Downloads",
    "upload": "Uploads",
    "install": "Installations",
}
PACKAGES = {"devpi": "devpi-server", "simple-repository": "simple-repository-server"}
HEAD = """\
# Performance

Made by

    {command}

on {date}, with medians over rounds: {rounds}. Each round goes through the rows, and in each row through the
contestants one after the other, another one first each time, so that a noisy moment troubles all alike; a page or a
download is asked for a second before, unmeasured, since each server has waited for the others. What uv installs is
installed from each before the first round, and {installs} times a round from ours and from nginx; small wheels are
uploaded to ours {uploads} times a round, and files downloaded from ours and from nginx {downloads} times. Where a
file lies, in memory or on the disk, makes a difference that lasts: ours and nginx send the same files, linked, not
copied; and what is installed lies in memory where there is room, since on a disk one installation takes half as long
again as the next, whoever is asked. uv takes packages in the order of a hash of the index's URL, some of
which make it a tenth slower: each of its installations spells the URL in another way, and a warm cache is what
an installation from the same URL has left there right before. Everything in Python runs on
CPython {python}{tcp}. The machine has {cores} cores, which the load generator, the servers and other work share: **the
figures themselves mean little; compare the ratios**. Behind each figure stands in brackets the ratio of ours to that
contestant, the median over rounds of the ratio within one round: above 1 ours did more (in seconds: needed longer).

![bars]({picture})
"""
TERMS = """\
Ours answers with a token in every request and one exact limiter decision for each, with the default plans of limits
widened a hundred times, because the default rates would hold a load generator back. Peers run as they are installed;
where they want no password, none is checked. "Not run": it cannot take that corpus in reasonable time; "no …": it does
not offer it."""
LATENCY = f"""\
Milliseconds, p50 / p99, over **one** connection, medians of {latency.TURNS} turns in a round of their own: over sixteen
at full load p99 is the queue.
"""
CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
CPU = """\
*By CPU* is the same ratio computed from the processor time that the server's own processes took for a page (without
Redis): other work on the machine troubles it less than it troubles pages a second.
"""


def write(results: Results, path: Path, cores: int) -> None:
    """Write the report."""
    head = HEAD.format(
        command=results.command, date=results.date, rounds=results.rounds, cores=cores,
        python=platform.python_version(), tcp=congestion_control(),
        installs=installs.TURNS, uploads=uploads.TURNS, downloads=DownloadRow.turns,
        picture=path.with_suffix(".svg").name,
    )  # fmt: skip
    parts = [head, contestants(results), targets(results)]
    parts += [f"## {title}\n\n{table(results, part)}" for part, title in PARTS.items() if of(results, part)]
    parts += [section for section in (steps(results), cpu(results), memory(results)) if section]
    path.write_text("\n".join(parts))


def congestion_control() -> str:
    """What TCP uses here, if the kernel says so: bbr sends files of 1 MB through nginx more slowly than cubic."""
    with suppress(OSError):
        return f", and TCP uses {CONGESTION_CONTROL.read_text().strip()}"
    return ""


def of(results: Results, part: str) -> list[Row]:
    """The rows of a part."""
    return [row for row in results.rows if row.part == part]


def contestants(results: Results) -> str:
    """Who took part, and who could not."""
    lines = ["## Contestants", ""]
    for name, what in results.contestants.items():
        number = version(PACKAGES.get(name, name))
        said = f" ({number})" if number else ""
        wrong = f". **Did not run: {results.failed[name]}**" if name in results.failed else ""
        lines.append(f"- `{name}`: {what}{said}{wrong}")
    lines += [
        "",
        TERMS,
        "",
    ]
    return "\n".join(lines)


def targets(results: Results) -> str:
    """What was promised beside what came out."""
    lines = ["## Promises", "", "| promise | measured | by CPU | |", "|---|---:|---:|---|"]
    for target in TARGETS:
        figure = target.figure(results)
        if figure is None and target.left_out(results):
            lines.append(f"| {target.title} | not run | | |")
        if figure is not None:
            cpu = target.by_cpu(results)
            verdict = "met" if target.met(figure) else "**missed**"
            lines.append(f"| {target.title} | {number(figure)} | {number(cpu) if cpu else ''} | {verdict} |")
    lines += ["", CPU]
    return "\n".join([*lines, ""])


def table(results: Results, part: str) -> str:
    """Medians and ratios of a part, or of latencies medians and 99th percentiles."""
    names = [name for name in results.contestants if name not in results.failed]
    names = [name for name in names if any(row.median(name) is not None for row in of(results, part))]
    lines = [LATENCY] if part == "latency" else []
    lines += ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    faults = []
    for row in of(results, part):
        cells = [_cell(row, name) for name in names]
        lines.append(f"| {row.title} ({row.unit}) | " + " | ".join(cells) + " |")
        faults += [f"{name}, {row.title}: {cell.reason}" for name, cell in row.cells.items() if cell.failed]
    return "\n".join([*lines, "", *(f"- failed: {fault}" for fault in faults), *([""] if faults else [])])


def _cell(row: Row, name: str) -> str:
    median = row.median(name)
    cell = row.cells.get(name, Cell(reason="not run"))
    if median is None:
        return "failed" if cell.failed else cell.reason
    tail = row.tail(name)
    if tail is not None:
        return f"{number(median)} / {number(tail)}"
    ratio = row.ratio("ours", name) if name != "ours" else None
    return f"{number(median)} ({number(ratio)})" if ratio is not None else number(median)


def cpu(results: Results) -> str:
    """Processor time of a page and of an upload."""
    rows = [row for row in results.rows if row.part in ("read", "upload") and "MB" not in row.title]
    names = [name for name in results.contestants if any(row.cpu(name) for row in rows)]
    if not rows:
        return ""
    lines = ["## Processor time", "", "Microseconds that a server's processes took for one page or wheel.", ""]
    lines += ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for row in rows:
        cells = [number(each * 1e6) if (each := row.cpu(name)) else "" for name in names]
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def steps(results: Results) -> str:
    """Where the time of an upload goes."""
    if not results.steps:
        return ""
    slowest = next(name for name, _ in results.steps)
    lines = [f"**The slowest step of a small upload: {slowest}.** Own time of each step in one process, profiled:", ""]
    lines += ["| step | share |", "|---|---:|", *(f"| {name} | {share:.0%} |" for name, share in results.steps), ""]
    return "\n".join(lines)


def memory(results: Results) -> str:
    """Memory before and after."""
    if not results.memory:
        return ""
    lines = ["## Memory", "", "Resident memory of all processes of a server (shared pages count in each), in MiB.", ""]
    lines += ["| | before | after |", "|---|---:|---:|"]
    lines += [f"| {name} | {a / (1 << 20):.0f} | {b / (1 << 20):.0f} |" for name, (a, b) in results.memory.items()]
    return "\n".join([*lines, ""])


def number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
