"""What every store does."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from throttling.lines import Answer, Asking, Line, Verb


class StoreError(Exception):
    """The store cannot be asked now; the cause is kept. Retryable."""


class Store(ABC):
    """Counts limits. One `decide` is one atomic decision; every method may raise StoreError."""

    @abstractmethod
    def decide(self, verb: Verb, lines: Sequence[Line], *, now: int = 0, beside: tuple[str, ...] = ()) -> Answer:
        """Check, and charge or refund, all lines as one. `now` (us) replaces the store's clock in tests and replays.

        `beside` is keys that the caller wants to read from the same server: a store that can do both in one round
        trip puts their values into the answer, others leave that empty.
        """

    def decide_each(self, askings: Sequence[Asking]) -> list[Answer]:
        """Decisions that were asked for at the same time, as if one after the other in some order.

        In one round trip where the store can do that, and a second one where not all of those pass who take the same.
        """
        return [self.decide(one.verb, one.lines, beside=one.beside) for one in askings]

    @abstractmethod
    def ban(self, key: str, length: int) -> bool:
        """Ban for `length` us from now; True only for the one caller that began it. A running ban is not shortened."""

    @abstractmethod
    def banned_for(self, key: str) -> int:
        """How long the ban still runs, in us; 0 when there is none."""

    @abstractmethod
    def forget(self, keys: Sequence[str]) -> int:
        """Reset these keys; gives how many there were."""

    @abstractmethod
    def keys_of(self, subject: str) -> list[str]:
        """Every key of a subject, for people: it walks the whole store in small steps."""

    @abstractmethod
    def level(self, key: str, value: int) -> None:
        """Set a stock to what is true."""

    @abstractmethod
    def seed(self, key: str, value: int) -> bool:
        """Set a stock of which nothing is kept, and leave one that is kept as it is; True where it was set."""

    @abstractmethod
    def read_version(self) -> str | None:
        """The version of the plans in force, as last published; None when nobody has."""

    @abstractmethod
    def publish_version(self, version: str) -> None:
        """Tell every process which version of the plans is in force."""

    @abstractmethod
    def once(self, key: str, seconds: int) -> bool:
        """True for the first caller in `seconds`, of all processes."""

    @abstractmethod
    def count(self, name: str, more: int) -> int:
        """Add to a count that is shown to people; gives the sum."""

    @abstractmethod
    def counted(self, name: str) -> int:
        """The sum of such a count."""
