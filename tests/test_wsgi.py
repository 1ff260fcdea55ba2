"""The WSGI entry point."""

import io

import pytest
from django.test import RequestFactory

from pkgindex.wsgi import application


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["a; x*=bogus''y", "a; x*=utf-8''%ff", "multipart/form-data; boundary*=x", "*", ";"])
def test_strange_content_types_are_no_server_error(kind):
    """Whatever a client writes as the type of its body, the server answers with a status of its own."""
    environ = RequestFactory()._base_environ(PATH_INFO="/legacy/", REQUEST_METHOD="POST", CONTENT_TYPE=kind)
    environ |= {"wsgi.input": io.BytesIO(b""), "CONTENT_LENGTH": "0"}
    statuses: list[str] = []

    for _ in application(environ, lambda status, _headers: statuses.append(status)):
        pass

    assert statuses[0].startswith("401")
