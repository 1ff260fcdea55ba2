"""Lines to paste for pip, uv, twine and poetry. Imports no Django.

A line never holds a secret: the shell variable `PKGINDEX_TOKEN` stands for it. pip is given one index alone, since it
merges its indexes and takes the highest version from whichever offers it; uv and poetry are told which index a name
comes from.
"""

import re
import shlex
from dataclasses import dataclass

TOKEN_LINE = "export PKGINDEX_TOKEN=pkgi_…"  # noqa: S105 - the form of a token, no secret
_VARIABLE = '"$PKGINDEX_TOKEN"'


@dataclass(frozen=True, slots=True)
class Address:
    """Where clients reach an index. `base` has no slash at its end; `nickname` is what clients call the index."""

    base: str
    nickname: str
    path: str = ""  # of another index than the default one: `/i/<slug>`
    public: bool = False  # readable without a token

    @property
    def simple(self) -> str:
        """The root of the simple repository API."""
        return f"{self.base}{self.path}/simple/"

    @property
    def legacy(self) -> str:
        """Where uploads go."""
        return f"{self.base}{self.path}/legacy/"

    @property
    def simple_with_token(self) -> str:
        """The simple root as pip needs it: with credentials inside where reading takes some."""
        if self.public:
            return self.simple
        scheme, _, rest = self.simple.partition("://")
        return f"{scheme}://__token__:${{PKGINDEX_TOKEN}}@{rest}"


@dataclass(frozen=True, slots=True)
class Snippet:
    """Shell lines for one tool."""

    tool: str
    text: str


def install_lines(address: Address, requirement: str) -> tuple[Snippet, ...]:
    """How to install `requirement`, such as `acme==1.0`, with pip, uv and poetry."""
    wanted = shlex.quote(requirement)
    name = address.nickname
    variable = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    uv = [f"uv add --index {name}={address.simple} \\\n  {wanted}"]
    poetry = [
        f"poetry source add --priority=explicit {name} {address.simple}",
        f"poetry add --source {name} {wanted}",
    ]
    if not address.public:
        uv[:0] = [f"export {variable}_USERNAME=__token__", f"export {variable}_PASSWORD={_VARIABLE}"]
        poetry.insert(1, f"poetry config http-basic.{name} __token__ {_VARIABLE}")
    return (
        Snippet("pip", f'pip install --index-url "{address.simple_with_token}" \\\n  {wanted}'),
        Snippet("uv", "\n".join(uv)),
        Snippet("poetry", "\n".join(poetry)),
    )


def publish_lines(address: Address) -> tuple[Snippet, ...]:
    """How to upload what is in `dist/` with twine, uv and poetry."""
    name = address.nickname
    twine = f"twine upload --repository-url {address.legacy} \\\n  --username __token__ --password {_VARIABLE} dist/*"
    poetry = [
        f"poetry config repositories.{name} {address.legacy}",
        f"poetry config http-basic.{name} __token__ {_VARIABLE}",
        f"poetry publish --repository {name}",
    ]
    return (
        Snippet("twine", twine),
        Snippet("uv publish", f"uv publish --publish-url {address.legacy} --token {_VARIABLE}"),
        Snippet("poetry publish", "\n".join(poetry)),
    )
