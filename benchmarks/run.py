"""pkgindex beside a bare control, nginx and other package indexes, in one run.

    python -m benchmarks.run [--quick] [--only read,latency,upload,download,install] [--contestants ours,control,…]
                             [--rounds N] [--out docs/performance.md] [--json FILE]

Needs wrk and redis-server, and nginx for what has nginx in it. The other indexes are installed from the package
registry that uv is configured for, once, into `.cache/benchmarks`. Every contestant has the same files and a server of
its own on a free port. `--quick` takes minutes; the full form has pages of 43,000 files and lists of 780,000 names,
and takes an hour, 30 GB of the temporary folder and 3 GB of memory. A contestant that fails is reported and does not
stop the others.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from datetime import date
from pathlib import Path

from tqdm import tqdm

from benchmarks.suite import corpus, environments, measurements, picture, report
from benchmarks.suite.contestants import ALL, Contestant, NotOffered, World
from benchmarks.suite.contestants.ours import Ours
from benchmarks.suite.measurements import Measurement
from benchmarks.suite.results import Cell, Results, Row
from benchmarks.suite.servers import run

ROUNDS, QUICK_ROUNDS = 5, 3


def main() -> int:
    """Run all that was asked for; 1 where a contestant did not start."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    command = " ".join(["python -m benchmarks.run", *_told(sys.argv[1:])])
    results = Results(command, date.today().isoformat(), options.rounds)  # noqa: DTZ011 - the reader's own day
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as text:
        home = Path(text)
        wheels = corpus.make(home / "corpus", listings=not options.quick)
        if "install" in options.only:
            wheels.adopt(environments.application_wheels())
        started: dict[str, Contestant] = {}
        rows: list[Measurement] = []
        try:
            start_all(options.contestants, home, wheels, started, results)
            rows = measurements.chosen(options.only, wheels, quick=options.quick)
            before = {name: one.resident() for name, one in started.items()}
            measure_all(rows, started, results)
            results.memory = {name: (before[name], one.resident()) for name, one in started.items()}
            if "upload" in options.only and "ours" in started:
                profile(started["ours"], results)
        finally:
            for one in started.values():
                one.stop()
            for row in rows:
                row.clear()
    finish(results, options)
    return 1 if results.failed else 0


def _told(words: list[str]) -> list[str]:
    """The options that make a difference to the figures: a place on this machine is nobody else's."""
    places = ("--out", "--json")
    return [
        word for before, word in zip(["", *words], words, strict=False)
        if before not in places and word.partition("=")[0] not in places
    ]  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds: a few minutes")
    parser.add_argument("--only", default="", help=f"parts: {','.join(measurements.PARTS)}")
    parser.add_argument("--contestants", default="", help=f"of {','.join(kind.name for kind in ALL)}")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, quick: {QUICK_ROUNDS}")
    parser.add_argument("--out", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--json", type=Path, help="also write all figures here")
    options = parser.parse_args()
    parts = [part for part in measurements.PARTS if part != "install" or not options.quick]
    options.only = _words(parser, options.only, parts, measurements.PARTS)
    options.contestants = _words(parser, options.contestants, [k.name for k in ALL], [k.name for k in ALL])
    options.out.parent.mkdir(parents=True, exist_ok=True)  # not after an hour
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    if not shutil.which("wrk"):
        parser.error("wrk is not on PATH: nothing can be measured")
    return options


def _words(parser: argparse.ArgumentParser, text: str, default: list[str], known: list[str]) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()] or list(default)
    strange = [word for word in words if word not in known]
    if strange:
        parser.error(f"unknown: {', '.join(strange)}")
    return words


def start_all(
    names: list[str], home: Path, wheels: corpus.Corpus, started: dict[str, Contestant], results: Results
) -> None:
    """Start them one after the other; who fails is noted and left out."""
    kinds = [kind for kind in ALL if kind.name in names]
    for kind in tqdm(kinds, desc="starting", disable=None):
        one = kind()
        one.home = home / one.name
        one.home.mkdir()
        results.contestants[one.name] = one.what
        try:
            one.start(World(one.home, wheels, started))
            started[one.name] = one
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            results.failed[one.name] = sentence(error)
            say(f"{one.name} does not take part: {sentence(error)}")
            one.stop()
        except BaseException:
            one.stop()
            raise


def measure_all(rows: list[Measurement], started: dict[str, Contestant], results: Results) -> None:
    """Round by round, row by row, contestant by contestant; who fails in a row is left out of that row."""
    for row in rows:
        results.rows.append(Row(row.key, row.title, row.part, row.unit, row.lower_is_better))
    with tqdm(total=(results.rounds + 1) * len(rows) * len(started), desc="measuring", disable=None) as bar:
        for number in range(results.rounds + 1):
            for row, kept in zip(rows, results.rows, strict=True):
                for turn in range(row.turns if number else 1):
                    for name in in_turn(list(started), number + turn):
                        bar.set_postfix_str(f"{name}: {row.title}", refresh=False)
                        if turn == 0 or name in row.often:
                            step(row, started[name], number, kept.cells.setdefault(name, Cell()))
                        bar.update(turn == 0)
            if number:  # what making ready left stays for a round: whatever comes after a removal has it worse
                for row in rows:
                    row.clear()


def in_turn(names: list[str], number: int) -> list[str]:
    """Each time another one begins: who comes after a pause, or after another row, may be better or worse off."""
    first = number % len(names) if names else 0
    return names[first:] + names[:first]


def step(row: Measurement, one: Contestant, number: int, cell: Cell) -> None:
    """Round 0 makes ready, every other adds a figure."""
    if cell.reason or (row.most_rounds is not None and number > row.most_rounds):
        return
    try:
        if number == 0:
            row.ready(one)
        else:
            row.warm_up(one)
            before = one.cpu()
            found = row.once(one, number)
            cell.figures.append(found.value)
            cell.cpu.append((one.cpu() - before) / found.pieces)
            if found.tail is not None:
                cell.tails.append(found.tail)
            cell.size = found.size or cell.size
    except NotOffered as reason:
        cell.reason = str(reason)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
        cell.reason, cell.failed = sentence(error), True
        cell.figures.clear()
        cell.cpu.clear()
        cell.tails.clear()
        say(f"{one.name}, {row.title}: {cell.reason}")


def profile(ours: Contestant, results: Results) -> None:
    """Where the time of an upload goes; a fault leaves it out."""
    assert isinstance(ours, Ours) and ours.auth  # noqa: S101, PT018 - as it was started
    command = [sys.executable, "-m", "benchmarks.suite.upload_profile", *ours.auth]
    try:
        said = run(command, env=ours.environment, cwd=environments.ROOT, seconds=120)
        results.steps = [(name, share) for name, share in json.loads(said.splitlines()[-1]) if share >= 0.01]
    except (RuntimeError, ValueError) as error:
        say(f"uploads could not be profiled: {error}")


def finish(results: Results, options: argparse.Namespace) -> None:
    """Print the table, write report, picture and figures."""
    print(report.targets(results))
    for part in options.only:
        print(report.table(results, part))
    print(report.steps(results))
    print(report.cpu(results))
    print(report.memory(results))
    report.write(results, options.out, os.cpu_count() or 1)
    picture.write(results, options.out.with_suffix(".svg"))
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1))
    say(f"wrote {options.out}")


def sentence(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{error or type(error).__name__}".split())[-300:]


def say(text: str) -> None:
    """Progress for people, apart from the result."""
    tqdm.write(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
