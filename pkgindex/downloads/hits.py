"""The short way of a file or its metadata: one that this process has just looked up, sent whole from our own disk.

A part of a file, a condition, a limit on bandwidth or concurrency and a file from a mirror node are Django's.
"""

from collections.abc import Iterable
from contextlib import closing
from functools import lru_cache, partial
from hashlib import sha256
from typing import NamedTuple

from pkgindex.accounts.identity import sender_at_hand
from pkgindex.accounts.roles import ANONYMOUS, Visibility, Who
from pkgindex.blobs import store
from pkgindex.catalog import versions
from pkgindex.catalog.indexes import index_at_hand_by_id
from pkgindex.catalog.policy import IndexView
from pkgindex.downloads import delivery
from pkgindex.downloads.delivery import CONTENT_TYPE, Asset, BytesMissing
from pkgindex.downloads.lookup import Candidate, Candidates, file_at_hand, holds, old_rows
from pkgindex.downloads.mirrored import way_for
from pkgindex.downloads.views import PREFIX, asset_of, named_by, permanent
from pkgindex.nearcache import Missing
from pkgindex.sending import BLOCK_BYTES, Window
from pkgindex.shortway import Environ, Fields, Reply, file_body, framed, is_plain, of_fields, remember, sender_of
from pkgindex.throttles import beside_of
from pkgindex.worker import FIELDS, TAGS
from throttling import bandwidth, headers, leases, plans
from throttling.decision import Decision
from throttling.lines import Costs
from throttling.snapshot import Snapshot
from throttling.subjects import Caller
from throttling.take import ONE_REQUEST, Question

METHODS = frozenset({"GET"})
KEPT, MOST_KEPT = 512, 16 << 10  # how many files' metadata, and of at most how many bytes
CONDITIONS = ("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MODIFIED_SINCE")


class Bytes(NamedTuple):
    """A request for bytes that this process knows the place of."""

    file: Candidate
    asset: Asset
    question: Question
    by_nginx: bool
    keys: tuple[str, ...]  # what says whether it is still so; none where it was looked up a moment ago

    def is_settled(self, decision: Decision) -> bool:
        """Whether that came with the decision."""
        return not self.keys or decision.answer.beside is not None

    def reply(self, decision: Decision, environ: Environ) -> Reply | None:
        """The bytes; None where limits refuse or count downloads under way, which Django would have to end."""
        if leases.lines(decision) or not decision.allowed:
            return None
        if self.keys and not holds(self.file, decision.answer.beside or versions.read(self.keys)):
            return None
        asset = self.asset
        own = [("ETag", asset.etag), ("Last-Modified", asset.last_modified)]
        body: Iterable[bytes] = ()
        if self.by_nginx:
            own += [("X-Accel-Redirect", delivery.accel_path(asset)), ("Content-Length", "0")]
        else:
            found = _kept(asset) or _body(asset, decision, environ)
            if found is None:
                return None
            body = found
            own += [("Content-Length", str(asset.size)), ("Accept-Ranges", "bytes")]
        fields = [*_fixed(self.file.visibility, environ["wsgi.url_scheme"]), *own, *headers.fields(decision).items()]
        return Reply(200, fields, body, self.question.scope, [decision], 0 if asset.is_metadata else asset.size)


class Known(NamedTuple):
    """What was found out about a request for bytes; it holds for the same request as long as these are the same."""

    who: Who
    named: tuple[str, str]  # digest and file name
    rows: Candidates
    view: IndexView
    snapshot: Snapshot
    found: Bytes

    def asked(self, environ: Environ, missing: Missing) -> Bytes | None:
        """See `pkgindex.shortway.Known`."""
        if self.rows is not old_rows(*self.named) or self.view is not index_at_hand_by_id(self.view.id, missing):
            return None
        if self.who is not sender_at_hand(environ.get("HTTP_AUTHORIZATION", ""), missing):
            return None
        return self.found if plans.is_fresh() and self.snapshot is plans.current() else None


def asked(environ: Environ, missing: Missing) -> Bytes | None:
    """What the request asks for; None where Django must answer, unless what is `missing` helps."""
    path: str = environ["PATH_INFO"]
    named = named_by(path, len(PREFIX)) if path.startswith(PREFIX) and path.isascii() else None
    if named is None or environ.get(TAGS) or of_fields(environ, _is_conditional) or not is_plain(environ, METHODS):
        return None
    digest, filename, is_metadata = named
    who = sender_at_hand(environ.get("HTTP_AUTHORIZATION", ""), missing)
    # Who is not known yet is asked for as anybody: so that all that is missing is found out at once.
    file, keys = file_at_hand(who or ANONYMOUS, digest, filename, missing) or (None, ())
    asset = asset_of(file, digest, is_metadata=is_metadata) if file else None
    if who is None or file is None or asset is None:
        return None
    way, sender = way_for(asset, file.delivery, file.mirror_policy), sender_of(environ, who)
    paced, counted = _more_limits(environ, sender)
    if way not in {delivery.own, delivery.direct} or paced:
        return None
    scope, costs = "metadata", ONE_REQUEST
    if not asset.is_metadata:
        scope, costs = "download", Costs(size=asset.size, lease=leases.new() if counted else "")
    question = Question(sender, scope, costs, resource=path, beside=beside_of(keys))
    found = Bytes(file, asset, question, delivery.goes_by_accel(way, asset), keys)
    if keys and not costs.lease:  # each request has one of its own
        rows, index = old_rows(digest, filename), index_at_hand_by_id(file.index_id, missing)
        if len(rows) == 1 and index is not None:  # whatever else there is could change too
            remember(environ, Known(who, (digest, filename), rows, index, plans.current(), found))
    return found


def _more_limits(environ: Environ, sender: Caller) -> tuple[bool, bool]:
    """Whether the sender has limits on bandwidth, and on downloads under way; found out once for many requests."""
    known, snapshot = environ.get(FIELDS, {}), plans.current()
    held: tuple[Snapshot, Caller, tuple[bool, bool]] | None = known.get(_more_limits)
    if held is None or held[0] is not snapshot or held[1] is not sender:
        found = bool(bandwidth.limits_of(sender)), bool(leases.wanted(sender, "download"))
        held = known[_more_limits] = snapshot, sender, found
    return held[2]


def _is_conditional(environ: Environ) -> bool:
    return any(environ.get(name) for name in CONDITIONS)


def _kept(asset: Asset) -> list[bytes] | None:
    """Metadata from this process, which resolvers ask for again and again; None where it has none."""
    if not asset.is_metadata or asset.size > MOST_KEPT:
        return None
    try:
        return [_metadata(asset)]
    except BytesMissing:
        return None


@lru_cache(maxsize=KEPT)
def _metadata(asset: Asset) -> bytes:
    """The bytes on the local disk, if they are the right ones: what is kept outlives a repair. Raises BytesMissing."""
    path = store.local_path(asset.sha256)
    if path is None:
        raise BytesMissing("They are kept elsewhere, and whoever asks must not wait for that.")
    with closing(Window(delivery.opened(asset, path), 0, asset.size)) as window:
        data = window.read()
    if sha256(data).hexdigest() != asset.sha256:
        raise BytesMissing("These are other bytes.")
    return data


def _body(asset: Asset, decision: Decision, environ: Environ) -> Iterable[bytes] | None:
    window = _window(asset)
    if window is not None and decision.counts_bytes:
        window.when_closed = partial(leases.give_back_unsent, decision, asset.size)
    return None if window is None else file_body(environ, window, BLOCK_BYTES)


def _window(asset: Asset) -> Window | None:
    """The bytes from the local disk; None where they are kept elsewhere, or are not there, of which Django tells."""
    path = store.local_path(asset.sha256)
    if path is None:
        return None
    try:
        return Window(delivery.opened(asset, path), 0, asset.size)
    except BytesMissing:
        return None


@lru_cache(maxsize=16)
def _fixed(visibility: Visibility, scheme: str) -> Fields:
    """What every such answer says."""
    return framed({"Content-Type": CONTENT_TYPE} | permanent(visibility), scheme)
