"""Lines to paste."""

import subprocess

import pytest

from pkgindex.web.lines import Address, install_lines, publish_lines

PRIVATE = Address("https://pkgs.example", "my-team", path="/i/my-team")
PUBLIC = Address("https://pkgs.example", "main", public=True)


def test_private_index_takes_token_from_a_variable():
    """Every tool reaches the right address with `__token__`, and no line holds a secret."""
    pip, uv, poetry = install_lines(PRIVATE, "acme==1.0")

    assert '"https://__token__:${PKGINDEX_TOKEN}@pkgs.example/i/my-team/simple/"' in pip.text
    assert "UV_INDEX_MY_TEAM_USERNAME=__token__" in uv.text
    assert "--index my-team=https://pkgs.example/i/my-team/simple/" in uv.text
    assert 'poetry config http-basic.my-team __token__ "$PKGINDEX_TOKEN"' in poetry.text
    assert not any("pkgi_" in snippet.text for snippet in (pip, uv, poetry))


def test_public_index_needs_no_token_to_install():
    """Installing from a public index mentions no token; publishing to it does."""
    assert not any("oken" in snippet.text for snippet in install_lines(PUBLIC, "acme"))
    assert all("PKGINDEX_TOKEN" in snippet.text for snippet in publish_lines(PUBLIC))


def test_uploads_go_to_legacy():
    """twine, uv and poetry are given the upload address of the index."""
    assert all("https://pkgs.example/i/my-team/legacy/" in snippet.text for snippet in publish_lines(PRIVATE))


@pytest.mark.parametrize("requirement", ["acme", "acme==1.0+team.1", "acme==1!2.0", "a;touch$(x)`y`'\""])
def test_lines_are_words_to_a_shell(requirement):
    """A shell reads each line as meant, whatever the version holds: pip gets the requirement as one word."""
    script = "pip() { printf '%s\\n' \"${@: -1}\"; }\n" + install_lines(PRIVATE, requirement)[0].text

    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=10)

    assert done.stdout == f"{requirement}\n"
