"""Limits in Redis or Valkey: one script call for all the limits of a request.

The raw client of django-redis is used, always the primary's: a replica would answer with an older history.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import compress, groupby, islice
from typing import Any, TypeVar

from redis import Redis
from redis.cluster import RedisCluster
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as Late

from throttling.lines import NOTHING, Answer, Asking, Line, Outcome, Verb
from throttling.stores.base import Store, StoreError
from throttling.stores.batch import Part, arranged
from throttling.stores.wire import Script, Wire, arguments, script

T = TypeVar("T")
VERSION_KEY = "rl:version"


class RedisStore(Store):
    """`client` is a callable, so that a fork or a changed setting meets a client of its own.

    In a cluster the lines of different subjects live in different slots and are decided by one call per subject, in
    order; where a later one refuses, the earlier ones are given back.
    """

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client
        self._wire = Wire()
        self._take: Script = script("take.lua")

    def decide(self, verb: Verb, lines: Sequence[Line], *, now: int = 0, beside: tuple[str, ...] = ()) -> Answer:
        """See Store. In a cluster other keys live elsewhere and are not read."""
        return self._asking(self._decide, verb, lines, now, beside)

    def decide_each(self, askings: Sequence[Asking]) -> list[Answer]:
        """See Store; in one round trip, but for a cluster."""
        return self._asking(self._decide_each, askings)

    def _decide_each(self, client: Any, askings: Sequence[Asking]) -> list[Answer]:
        if _is_cluster(client):
            return [self._decide(client, one.verb, one.lines, 0, one.beside) for one in askings]
        parts, places = arranged(askings)
        keys = tuple(dict.fromkeys([key for one in askings for key in one.beside]))
        replies, found = self._wire.take_each(client, self._take, parts, keys)
        told = self._told(client, parts, [parse(reply) for reply in replies])
        every = []
        for one, place in zip(askings, places, strict=True):
            answer = NOTHING if place is None else next(told[place])
            if one.beside:
                refused_by, now, outcomes, degraded, _ = answer
                answer = Answer(refused_by, now, outcomes, degraded, tuple([found[key] for key in one.beside]))
            every.append(answer)
        return every

    def _told(self, client: Any, parts: Sequence[Part], answers: Sequence[Answer]) -> list[Iterator[Answer]]:
        """What each of the parts' requests is told; those who do not pass together are asked for each alone."""
        if not any(answer.refused_by for answer in answers):  # nearly always
            return [iter(part.learnt(answer)) for part, answer in zip(parts, answers, strict=True)]
        refused = [part.is_sum and bool(answer.refused_by) for part, answer in zip(parts, answers, strict=True)]
        alone = [part._replace(times=1) for part in compress(parts, refused) for _ in range(part.times)]
        replies = map(parse, self._wire.take_each(client, self._take, alone, ())[0] if alone else ())
        return [
            iter(list(islice(replies, part.times)) if again else part.learnt(answer))
            for part, answer, again in zip(parts, answers, refused, strict=True)
        ]

    def _decide(self, client: Any, verb: Verb, lines: Sequence[Line], now: int, beside: tuple[str, ...]) -> Answer:
        in_cluster = _is_cluster(client)
        if beside and not now and not in_cluster:
            return self._decide_each(client, (Asking(verb, tuple(lines), beside),))[0]
        if not lines:  # nothing but other keys was wanted
            return NOTHING
        if len(lines) > 1 and in_cluster:
            return self._decide_by_slot(client, verb, lines, now)
        return self._decide_one(client, verb, lines, now)

    def _decide_by_slot(self, client: Any, verb: Verb, lines: Sequence[Line], now: int) -> Answer:
        order = sorted(range(len(lines)), key=lambda i: tag_of(lines[i].key))
        outcomes: dict[int, Outcome] = {}
        done: list[Line] = []
        refused_by, clock = 0, now
        for _, group in groupby(order, key=lambda i: tag_of(lines[i].key)):
            places = list(group)
            part = [lines[i] for i in places]
            # Once something refused, the rest is only looked at: nothing more may be charged.
            asked = Verb.TEST if refused_by and verb is Verb.TAKE else verb
            answer = self._decide_one(client, asked, part, now)
            outcomes |= dict(zip(places, answer.outcomes, strict=True))
            clock = answer.now
            if answer.refused_by and not refused_by:
                refused_by = places[answer.refused_by - 1] + 1
                if verb is Verb.TAKE and done:
                    self._give_back(client, done, now)
            elif verb is Verb.TAKE and not refused_by:
                done += [line for line, outcome in zip(part, answer.outcomes, strict=True) if not outcome.refused]
        return Answer(refused_by, clock, tuple(outcomes[i] for i in range(len(lines))))

    def _decide_one(self, client: Any, verb: Verb, lines: Sequence[Line], now: int) -> Answer:
        if now:
            return parse(self._wire.run(client, self._take, len(lines), arguments(verb, lines, now)))
        return parse(self._wire.take(client, self._take, verb, tuple(lines)))

    def _give_back(self, client: Any, lines: Sequence[Line], now: int) -> None:
        for _, group in groupby(lines, key=lambda line: tag_of(line.key)):
            self._decide_one(client, Verb.REFUND, list(group), now)

    def ban(self, key: str, length: int) -> bool:
        """See Store."""
        return bool(self._asking(lambda client: self._wire.run(client, script("ban.lua"), 1, [key, length])))

    def banned_for(self, key: str) -> int:
        """See Store."""
        left = self._asking(lambda client: client.pttl(key))
        return max(0, int(left)) * 1_000

    def forget(self, keys: Sequence[str]) -> int:
        """See Store."""
        return sum(self._asking(lambda client, key=key: int(client.delete(key))) for key in keys)

    def keys_of(self, subject: str) -> list[str]:
        """See Store."""
        pattern = "rl:{" + "".join("\\" + c if c in "*?[]\\" else c for c in subject) + "}:*"
        found = self._asking(lambda client: list(client.scan_iter(match=pattern, count=1_000)))
        return sorted({key.decode() if isinstance(key, bytes) else key for key in found})

    def level(self, key: str, value: int) -> None:
        """See Store."""
        self._asking(lambda client: client.set(key, value))

    def seed(self, key: str, value: int) -> bool:
        """See Store."""
        return bool(self._asking(lambda client: client.set(key, value, nx=True)))

    def read_version(self) -> str | None:
        """See Store."""
        found = self._asking(lambda client: client.get(VERSION_KEY))
        return found.decode() if isinstance(found, bytes) else found

    def publish_version(self, version: str) -> None:
        """See Store."""
        self._asking(lambda client: client.set(VERSION_KEY, version))

    def once(self, key: str, seconds: int) -> bool:
        """See Store."""
        return bool(self._asking(lambda client: client.set(f"rl:once:{key}", 1, nx=True, ex=seconds)))

    def count(self, name: str, more: int) -> int:
        """See Store."""
        return int(self._asking(lambda client: client.incrby(f"rl:count:{name}", more)))

    def counted(self, name: str) -> int:
        """See Store."""
        return int(self._asking(lambda client: client.get(f"rl:count:{name}")) or 0)

    def close(self) -> None:
        """Close this thread's connection, and those of a client that is this store's own."""
        self._wire.close()
        self._client().close()

    def _asking(self, work: Callable[..., T], *more: Any) -> T:
        try:
            client = self._client()
            try:
                return work(client, *more)
            except Late:
                raise
            except Disconnected:
                # A connection that idled through a restart is found dead only when used; the next one is new.
                return work(client, *more)
        except (RedisError, OSError) as error:
            raise StoreError(f"Redis does not answer: {error}") from error


def _is_cluster(client: Any) -> bool:
    # The usual client first: redis-py's classes answer isinstance by comparing members one by one.
    return type(client) is not Redis and isinstance(client, RedisCluster)


def tag_of(key: str) -> str:
    """The hash tag of one of our keys: what decides its slot."""
    return key[key.index("{") + 1 : key.index("}")]


def parse(reply: bytes | str) -> Answer:
    """The script's answer: `refused_by now`, then four integers per limit."""
    numbers = list(map(int, reply.split()))
    if len(numbers) == 6:
        return Answer(numbers[0], numbers[1], (Outcome(*numbers[2:]),))
    return Answer(numbers[0], numbers[1], tuple(map(Outcome._make, zip(*[iter(numbers[2:])] * 4, strict=True))))
