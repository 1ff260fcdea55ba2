"""Numbers and links as the pages write them."""

from typing import Any

from django import template
from django.template import Context

register = template.Library()


@register.filter
def grouped(number: int) -> str:
    """An integer with a comma between thousands."""
    return f"{number:,}"


@register.simple_tag(takes_context=True)
def page_link(context: Context, key: str, number: int, anchor: str) -> str:
    """The present address with another page number in its query, leading to the list that is paged."""
    query: Any = context["request"].GET.copy()
    query[key] = str(number)
    return f"?{query.urlencode()}#{anchor}"
