"""Starts several workers at once on one database file."""

import os
import sqlite3
import subprocess
import sys
import time


def run(folder, *commands, prepare=()):
    """Prepare the nodes, run each command (a tuple of words) in a process of its own, all at once."""
    file, start = folder / "db.sqlite3", folder / "start"
    environment = os.environ | {"STANDALONE_DB": str(file)}
    base = [sys.executable, "-m", "tests.balancing.worker"]
    subprocess.run([*base, "prepare", *prepare], env=environment, check=True, timeout=60)
    workers = [subprocess.Popen([*base, word, str(start), *rest], env=environment) for word, *rest in commands]
    end = time.monotonic() + 60
    while len(list(folder.glob("start.*"))) < len(workers):
        assert time.monotonic() < end
        time.sleep(0.02)
    start.touch()
    assert [worker.wait(60) for worker in workers] == [0] * len(workers)
    return sqlite3.connect(file)
