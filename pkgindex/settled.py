"""What is made of settings, for whoever needs it in every request: Django's object costs a call each time."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from django.core.signals import setting_changed

V = TypeVar("V")


def settled(make: Callable[[], V]) -> Callable[[], V]:
    """The function, asked once; and anew after a test has changed a setting."""
    found = cache(make)

    def forget(**_: Any) -> None:
        found.cache_clear()

    setting_changed.connect(forget, weak=False)
    return found
