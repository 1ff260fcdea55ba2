"""One of many processes that hit one limit at once; prints how many calls were admitted.

`python -m tests.throttling.hammer ours|steady|drf REDIS_URL KEY ATTEMPTS SKEW`: waits for a token in the list `go:KEY`.
`steady` hits a limit that refills meanwhile, and prints the server's time (us) of its first and last call besides.
"""

import sys
import time

STEADY = "500/second burst=100"
STEADY_SECONDS = 3  # at least, so that one pause before a last call is less than a hundredth


def _decide(url, key, text):
    import redis

    from throttling.lines import Verb, line_for
    from throttling.rates import Limit, parse
    from throttling.stores.redis import RedisStore

    client = redis.Redis.from_url(url)
    store = RedisStore(lambda: client)
    line = line_for(Limit("l", parse(text)), key, 1)
    return lambda: store.decide(Verb.TAKE, [line])


def ours(url, key):
    decide = _decide(url, key, "100/hour")
    return lambda: decide().refused_by == 0


def drf(url, key):
    import django
    from django.conf import settings

    cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}
    settings.configure(CACHES={"default": cache}, INSTALLED_APPS=[], USE_TZ=True)
    django.setup()
    from rest_framework.throttling import SimpleRateThrottle

    class Control(SimpleRateThrottle):
        rate = "100/hour"

        def get_cache_key(self, request, view):
            return f"drf-{key}"

    return lambda: Control().allow_request(None, None)


def main(kind, url, key, attempts, skew):
    import redis

    real = time.time
    if float(skew):
        time.time = lambda: real() + float(skew)
    attempt = {"ours": ours, "drf": drf, "steady": lambda *where: _decide(*where, STEADY)}[kind](url, key)
    gate = redis.Redis.from_url(url)
    gate.rpush(f"ready:{key}", 1)
    gate.blpop([f"go:{key}"], timeout=60)
    end = time.monotonic() + (STEADY_SECONDS if kind == "steady" else 0)
    answers = [attempt() for _ in range(int(attempts))]
    while time.monotonic() < end:
        answers.append(attempt())
    if kind == "steady":
        print(sum(answer.refused_by == 0 for answer in answers), answers[0].now, answers[-1].now)
    else:
        print(sum(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
