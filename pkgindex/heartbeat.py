"""Signs of life that beat and a worker leave in Redis: keys that expire, so no two clocks are ever compared."""

import socket

from django_redis import get_redis_connection

BEAT, WORKER = "health:beat", "health:worker"
ALIVE_SECONDS = 20  # four of beat's rounds


def beat_now(key: str) -> None:
    """Leave the sign for the next ALIVE_SECONDS, with this machine's name for whoever looks into Redis."""
    get_redis_connection("default", write=True).set(key, socket.gethostname(), ex=ALIVE_SECONDS)


def age_of(key: str) -> float | None:
    """Seconds since the sign was left; None where there is none."""
    left = get_redis_connection("default").pttl(key)
    return None if left < 0 else max(0.0, ALIVE_SECONDS - left / 1000)
