"""Looking at parts that hang, fail and recover."""

import threading
import time

from pkgindex.probes import Down, Probe, look_at


def test_report_says_what_was_found():
    """A check's sentence is passed on, with the time it took."""
    report = look_at([Probe("a", lambda: "Fine.", 0)], 1)["a"]

    assert (report.is_up, report.sentence) == (True, "Fine.")
    assert report.latency_ms >= 0


def test_driver_s_words_stay_in_the_log(caplog):
    """The text of an unexpected error may hold a secret: the report names its type alone."""

    def check() -> str:
        raise RuntimeError("cannot reach redis://:secret@host")

    report = look_at([Probe("a", check, 0)], 1)["a"]

    assert not report.is_up
    assert "RuntimeError" in report.sentence
    assert "secret" not in report.sentence
    assert "secret" in caplog.text


def test_hanging_check_costs_the_bound_and_one_thread():
    """Many who ask while a check hangs are each answered in time, by one thread together."""
    release, running = threading.Event(), []

    def check() -> str:
        running.append(1)
        release.wait(30)
        return "Late."

    probe = Probe("a", check, 0)
    started = time.monotonic()
    reports = [look_at([probe], 0.1)["a"] for _ in range(5)]
    elapsed = time.monotonic() - started
    release.set()

    assert {report.is_up for report in reports} == {False}
    assert {report.sentence for report in reports} == {"It does not answer in time."}
    assert elapsed < 20
    assert len(running) == 1
    assert probe.result(time.monotonic() + 5).is_up


def test_recent_report_is_believed_until_it_is_forgotten():
    """Asking often looks once."""
    looks = []

    def check() -> str:
        looks.append(1)
        return "Fine."

    probe = Probe("a", check, 60)
    for _ in range(3):
        look_at([probe], 1)
    assert len(looks) == 1

    probe.forget()
    look_at([probe], 1)
    assert len(looks) == 2


def test_parts_are_looked_at_side_by_side():
    """Several that hang cost no more than one."""
    release = threading.Event()

    def check() -> str:
        release.wait(30)
        raise Down("Late.")

    started = time.monotonic()
    reports = look_at([Probe(name, check, 0) for name in "abcd"], 2)
    elapsed = time.monotonic() - started
    release.set()

    assert not any(report.is_up for report in reports.values())
    assert elapsed < 7
