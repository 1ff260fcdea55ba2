"""Who takes part, in the order in which they start: the control copies what ours answers."""

from benchmarks.suite.contestant import Contestant, NotOffered, World
from benchmarks.suite.contestants.control import Control, ControlLoop, ControlUsual
from benchmarks.suite.contestants.devpi import Devpi
from benchmarks.suite.contestants.ours import Ours, OursAccel, OursPostgres
from benchmarks.suite.contestants.pypiron import Pypiron
from benchmarks.suite.contestants.pypiserver import Pypiserver
from benchmarks.suite.contestants.simple_repository import SimpleRepository
from benchmarks.suite.contestants.static import Static

__all__ = ["ALL", "Contestant", "NotOffered", "World"]

ALL: tuple[type[Contestant], ...] = (
    Ours, OursAccel, OursPostgres, Control, ControlUsual, ControlLoop,
    Static, Pypiron, Devpi, Pypiserver, SimpleRepository,
)  # fmt: skip
