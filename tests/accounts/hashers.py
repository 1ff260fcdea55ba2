"""A password hasher that is slow enough to notice and counts how often it ran."""

import threading
import time

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class CountingHasher(PBKDF2PasswordHasher):
    """PBKDF2 of few rounds that sleeps: parallel requests really meet in it."""

    iterations = 10
    runs = 0
    _lock = threading.Lock()

    def encode(self, password, salt, iterations=None):
        with CountingHasher._lock:
            CountingHasher.runs += 1
        time.sleep(0.05)
        return super().encode(password, salt, iterations)
