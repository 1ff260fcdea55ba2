"""Scripts by their digest, over a connection that a thread keeps to itself."""

import os
import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.connection import ConnectionPool
from redis.exceptions import NoScriptError, ResponseError

from throttling.lines import Line, Verb
from throttling.stores.batch import Part

FEW = 2  # keys that one page needs: the bytes of such a question are kept


class Script:
    """A script in Lua, and its name on the server."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest().encode()


@cache
def script(name: str) -> Script:
    """A Lua file of this package, read once."""
    return Script(files("throttling").joinpath("lua", name).read_bytes())


class Wire:
    """Runs scripts in one round trip.

    Where the client has a plain pool, each thread keeps one connection of the pool's kind: taking one from the pool
    and giving it back, the client's retries and its metrics cost as much again as the round trip. Such a connection
    closes itself on any fault, so that no later command ever reads the answer of an earlier one.
    """

    def __init__(self) -> None:
        self._mine = threading.local()

    def run(self, client: Any, wanted: Script, keys: int, arguments: Sequence[Any]) -> Any:
        """The script's answer; a second round trip with the text where the server does not know it (restart)."""
        try:
            return self._send(client, "EVALSHA", wanted.digest, keys, arguments)
        except NoScriptError:
            return self._send(client, "EVAL", wanted.text, keys, arguments)

    def _send(self, client: Any, command: str, which: bytes, keys: int, arguments: Sequence[Any]) -> Any:
        if type(client) is not Redis or type(client.connection_pool) is not ConnectionPool:
            return client.execute_command(command, which, keys, *arguments)
        connection = self._connection(client.connection_pool)
        connection.send_packed_command([encoded((command, which, keys, *arguments))], check_health=False)
        return connection.read_response()

    def take(self, client: Any, wanted: Script, verb: Verb, lines: tuple[Line, ...]) -> Any:
        """As `run` for `take.lua` by the server's clock; the bytes of a call that comes again are kept."""
        if type(client) is Redis and type(client.connection_pool) is ConnectionPool:
            connection = self._connection(client.connection_pool)
            connection.send_packed_command([packed(wanted.digest, verb, lines)], check_health=False)
            try:
                return connection.read_response()
            except NoScriptError:
                pass
        return self.run(client, wanted, len(lines), arguments(verb, lines, 0))

    def take_each(
        self, client: Any, wanted: Script, parts: Sequence[Part], keys: tuple[str, ...]
    ) -> tuple[list[Any], dict[str, bytes | None]]:
        """As `take` for each, and the values of other keys, all in one round trip.

        The keys are read last and all together: what a transaction or a script writes to several of them is seen whole.
        """
        replies = self._replies(client, wanted, parts, keys)
        values = replies.pop() if keys else []
        if isinstance(values, ResponseError):
            raise values
        decisions = [self._known(client, wanted, one, reply) for one, reply in zip(parts, replies, strict=True)]
        return decisions, dict(zip(keys, values, strict=True))

    def _known(self, client: Any, wanted: Script, part: Part, reply: Any) -> Any:
        if isinstance(reply, NoScriptError):
            return self.run(client, wanted, len(part.lines), arguments(part.verb, part.asked, 0))
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def _replies(self, client: Any, wanted: Script, parts: Sequence[Part], keys: tuple[str, ...]) -> list[Any]:
        """What the server says to each part and, if any, to the question for keys; an error stands in its place."""
        if type(client) is not Redis or type(client.connection_pool) is not ConnectionPool:
            pipeline = client.pipeline(transaction=False)
            for one in parts:
                words = arguments(one.verb, one.asked, 0)
                pipeline.execute_command("EVALSHA", wanted.digest, len(one.lines), *words)
            if keys:
                pipeline.execute_command("MGET", *keys)
            return list(pipeline.execute(raise_on_error=False))
        connection = self._connection(client.connection_pool)
        commands = [packed(wanted.digest, one.verb, one.asked) for one in parts]
        if keys:
            commands.append(asked_for(keys) if len(keys) <= FEW else encoded(("MGET", *keys)))
        connection.send_packed_command([b"".join(commands)], check_health=False)
        # Every answer is read before any is judged: what stays behind would answer the next question.
        return [_read(connection) for _ in commands]

    def _connection(self, pool: Any) -> Any:
        mine = self._mine
        # A forked child must not speak on its parent's socket.
        if getattr(mine, "pool", None) is not pool or mine.pid != os.getpid():
            mine.pool, mine.pid = pool, os.getpid()
            mine.connection = pool.connection_class(**pool.connection_kwargs)
        return mine.connection

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._mine, "connection", None)
        if connection is not None:
            connection.disconnect()


def _read(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def arguments(verb: Verb, lines: Sequence[Line], now: int) -> list[Any]:
    """The keys and arguments of `take.lua`."""
    found: list[Any] = [line[1] for line in lines]
    found += (verb.value, now)
    for line in lines:
        found += (line[0], line[2], line[3], line[4], line[5], line[6])
    return found


def encoded(command: Sequence[Any]) -> bytes:
    """A command in RESP: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(command)]
    for item in command:
        word = item if type(item) is bytes else str(item).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


@lru_cache(maxsize=4_096)
def asked_for(keys: tuple[str, ...]) -> bytes:
    """The command that reads the keys, whole."""
    return encoded(("MGET", *keys))


@lru_cache(maxsize=4_096)
def packed(digest: bytes, verb: Verb, lines: tuple[Line, ...]) -> bytes:
    """The command of a call, whole."""
    return encoded(("EVALSHA", digest, len(lines), *arguments(verb, lines, 0)))
