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

SHAPE = re.compile(r"\A([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{60})/([^/\x00-\x1f\x7f]{1,300}?)(\.metadata)?\Z")
YEAR = 31_536_000  # seconds


@read_only
def download(request: HttpRequest, path: str) -> HttpResponseBase:
    """A file, or with `.metadata` behind its path its core metadata (PEP 658)."""
    shape = SHAPE.match(path)
    if shape is None:
        raise NotFound("This is not the path of a file.")
    sha256, filename = shape[1] + shape[2] + shape[3], shape[4]
    file = readable_file(caller(request), sha256, filename)
    asset = _metadata(file, filename) if shape[5] else Asset(sha256, file.size, file.modified)
    response = precondition(request, asset.etag, asset.modified) or _deliver(request, asset, file)
    return _permanent(response, file, asset)


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


def _metadata(file: Candidate, filename: str) -> Asset:
    if file.metadata_sha256 is None or file.metadata_size is None:
        raise NotFound(f"There is no metadata file for '{filename}'.")
    return Asset(file.metadata_sha256, file.metadata_size, file.modified, is_metadata=True)


def _permanent(response: HttpResponseBase, file: Candidate, asset: Asset) -> HttpResponseBase:
    """Add what holds for the bytes at this address, except to a refusal."""
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = FILE_POLICY
    if response.status_code >= 400:
        return response
    if response.status_code == 302:
        # The node is chosen each time; what a client keeps it keeps under the node's own URL.
        response["Cache-Control"] = "no-store"
        return response
    response["Cache-Control"] = f"{cache_scope(file.visibility)}, max-age={YEAR}, immutable"
    response["ETag"] = asset.etag
    response["Last-Modified"] = asset.last_modified
    if file.visibility is not Visibility.PUBLIC:
        response["Vary"] = "Authorization, Cookie"
    return response
