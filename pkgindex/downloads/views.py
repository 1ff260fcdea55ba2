"""Files and their metadata, by content: immutable, so every cache may keep them for ever."""

import re

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from pkgindex.accounts.identity import caller
from pkgindex.accounts.roles import Visibility
from pkgindex.downloads.delivery import Asset
from pkgindex.downloads.lookup import Candidate, readable_file
from pkgindex.downloads.mirrored import way_for
from pkgindex.errors import NotFound, ServiceError
from pkgindex.reading import FILE_POLICY, cache_scope, precondition, read_only
from pkgindex.throttles import admit_download, give_back, paced

PREFIX = "/packages/"
SHAPE = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{60})/([^/\x00-\x1f\x7f]+)\Z")
METADATA, LONGEST = ".metadata", 300  # characters of a file's name, without the former
YEAR = 31_536_000  # seconds
SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": FILE_POLICY}


@read_only
def download(request: HttpRequest, path: str) -> HttpResponseBase:
    """A file, or with `.metadata` behind its path its core metadata (PEP 658)."""
    named = named_by(path)
    if named is None:
        raise NotFound("This is not the path of a file.")
    sha256, filename, is_metadata = named
    file = readable_file(caller(request), sha256, filename)
    asset = asset_of(file, sha256, is_metadata=is_metadata)
    if asset is None:
        raise NotFound(f"There is no metadata file for '{filename}'.")
    response = precondition(request, asset.etag, asset.modified) or _deliver(request, asset, file)
    return _described(response, file, asset)


def _deliver(request: HttpRequest, asset: Asset, file: Candidate) -> HttpResponseBase:
    way = way_for(asset, file.delivery, file.mirror_policy)
    if request.method != "GET" or asset.is_metadata:
        return way(request, asset)
    decision = admit_download(request, asset.size)
    try:
        response = way(request, asset)
    except ServiceError:
        give_back(request)
        raise
    return paced(request, response, decision, asset.size)


def named_by(path: str, start: int = 0) -> tuple[str, str, bool] | None:
    """Digest and name of the file that a path names from `start` on, and whether its metadata is meant."""
    shape = SHAPE.match(path, start)
    if shape is None:
        return None
    filename = shape[4]
    is_metadata = filename.endswith(METADATA) and filename != METADATA
    if is_metadata:
        filename = filename[: -len(METADATA)]
    return (shape[1] + shape[2] + shape[3], filename, is_metadata) if len(filename) <= LONGEST else None


def asset_of(file: Candidate, sha256: str, *, is_metadata: bool) -> Asset | None:
    """The bytes that are asked for; None for metadata where there is none."""
    if not is_metadata:
        return Asset(sha256, file.size, file.modified)
    if file.metadata_sha256 is None or file.metadata_size is None:
        return None
    return Asset(file.metadata_sha256, file.metadata_size, file.modified, is_metadata=True)


def permanent(visibility: Visibility) -> dict[str, str]:
    """What every answer says that has the bytes at an address, which are always the same."""
    cacheable = {"Cache-Control": f"{cache_scope(visibility)}, max-age={YEAR}, immutable"}
    vary = {} if visibility is Visibility.PUBLIC else {"Vary": "Authorization, Cookie"}
    return SAFE | cacheable | vary


def _described(response: HttpResponseBase, file: Candidate, asset: Asset) -> HttpResponseBase:
    """Add what holds for the bytes at this address, except to a refusal."""
    fields = SAFE
    if response.status_code == 302:
        # The node is chosen each time; what a client keeps it keeps under the node's own URL.
        fields = SAFE | {"Cache-Control": "no-store"}
    elif response.status_code < 400:
        fields = permanent(file.visibility) | {"ETag": asset.etag, "Last-Modified": asset.last_modified}
    for name, value in fields.items():
        response[name] = value
    return response
