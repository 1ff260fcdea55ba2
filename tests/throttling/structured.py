"""A strict reader of RFC 9651 lists whose members are strings with parameters; anything else is an error."""

import re

KEY = r"[a-z*][a-z0-9_.*-]*"
STRING = r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
VALUE = rf"(?:-?\d{{1,15}}|{STRING}|:[A-Za-z0-9+/]*={{0,2}}:)"
ITEM = re.compile(rf"({STRING})((?:;\s*{KEY}={VALUE})*)")
PARAMETER = re.compile(rf";\s*({KEY})=({VALUE})")


def read(text):
    """`[(name, {parameter: value})]`."""
    found, at = [], 0
    while True:
        match = ITEM.match(text, at)
        assert match, f"no item at {text[at:]!r}"
        found.append(
            (match[1][1:-1], {k: int(v) if v.lstrip("-").isdigit() else v for k, v in PARAMETER.findall(match[2])})
        )
        at = match.end()
        if at == len(text):
            return found
        comma = re.compile(r"[ \t]*,[ \t]*").match(text, at)
        assert comma, f"no comma at {text[at:]!r}"
        at = comma.end()
