"""A strict reading of a page's markup, for what every page must hold."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "br", "hr"}


@dataclass
class Markup:
    """What was found: the open elements at the end, ids, labels, fields, headings and every fault by name."""

    open: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    fields: list[dict[str, str]] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = Markup()

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        found = self.found
        found.elements.append((tag, given))
        if len(given) != len(attrs):
            found.faults.append(f"an attribute twice on {tag}")
        if tag not in VOID:
            found.open.append(tag)
        if "id" in given:
            found.ids.append(given["id"])
        if "style" in given or any(name.startswith("on") for name in given):
            found.faults.append(f"inline style or handler on {tag}")
        if tag == "label":
            found.labels.add(given.get("for", ""))
        if tag in {"input", "select", "textarea"} and given.get("type") != "hidden":
            found.fields.append(given)
        if tag == "img" and "alt" not in given:
            found.faults.append("an image without alt")
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            found.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        if not self.found.open or self.found.open.pop() != tag:
            self.found.faults.append(f"</{tag}> closes something else")


def read(page: str) -> Markup:
    """Parse the page and collect what is wrong with it in `faults`."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    found = reader.found
    faults = found.faults
    faults += [f"<{tag}> is never closed" for tag in found.open]
    faults += [f"the id {name} twice" for name in set(found.ids) if found.ids.count(name) > 1]
    faults += [f"no label for {given}" for given in found.fields if given.get("id") not in found.labels]
    steps = zip([0, *found.headings], found.headings, strict=False)
    faults += [f"heading {after} after {before}" for before, after in steps if after > before + 1]
    if found.headings.count(1) != 1:
        faults.append("not exactly one h1")
    names = [tag for tag, _ in found.elements]
    faults += [f"not exactly one <{tag}>" for tag in ("html", "title", "main") if names.count(tag) != 1]
    if not dict(found.elements)["html"].get("lang"):
        faults.append("no language")
    if not page.lstrip().lower().startswith("<!doctype html>"):
        faults.append("no doctype")
    for tag, given in found.elements:
        target = given.get("aria-labelledby") or (given.get("href", "")[1:] if given.get("href", "")[:1] == "#" else "")
        if target and target not in found.ids:
            faults.append(f"{tag} refers to #{target}, which is not there")
    return found
