"""The lines that `up` prints once everything is up: where to go and what to paste. Pure text."""

from urllib.parse import urlsplit

from pkgindex.quickstart.credentials import Credentials

PLACEHOLDER = "TOKEN"


def welcome(url: str, fresh: Credentials | None, kept_in: str, certificate: str = "") -> str:
    """The text for people. Secrets stand in it only at the first start (`fresh`); later they are in `kept_in`.

    `certificate` is the path of one that clients do not believe by themselves.
    """
    token = fresh.token if fresh else PLACEHOLDER
    simple = urlsplit(url)._replace(netloc=f"__token__:{token}@{urlsplit(url).netloc}", path="/simple/").geturl()
    head = f"pkgindex is ready: {url}/  (administration: {url}/admin/)\n"
    if fresh:
        who = f"Sign in as {fresh.username} with the password {fresh.password}\nShown once; kept in {kept_in}\n"
    else:
        who = f"{PLACEHOLDER} below stands for a token; the first one is in {kept_in}\n"
    if certificate:
        who += (
            f"This certificate is our own. In the shell that you paste into, first:\n"
            f"  export SSL_CERT_FILE={certificate} REQUESTS_CA_BUNDLE={certificate}\n"
        )
    return f"""
{head}{who}
  pip     pip install --index-url {simple} NAME
  uv      uv pip install --default-index {simple} NAME
  twine   twine upload --repository-url {url}/legacy/ -u __token__ -p {token} dist/*
  uv      uv publish --publish-url {url}/legacy/ --token {token}
  poetry  poetry config repositories.pkgindex {url}/legacy/
          poetry config http-basic.pkgindex __token__ {token}
          poetry publish --build -r pkgindex

Ctrl-C stops everything; the next start keeps all data.
"""
