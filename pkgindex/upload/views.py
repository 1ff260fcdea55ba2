"""The legacy upload API: one view at several addresses, because uploaders follow no redirects."""

import json
import logging
from http import HTTPStatus

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from pkgindex.accounts.identity import actor_of, identify
from pkgindex.accounts.permissions import require
from pkgindex.accounts.roles import ANONYMOUS, Action, Verdict, Who, decide
from pkgindex.answers import decorate, reason_phrase, request_wants_json, status_of
from pkgindex.catalog.indexes import find_index
from pkgindex.catalog.models import File, Project
from pkgindex.catalog.names import normalize
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import AuthenticationRequired, NotFound, ServiceError
from pkgindex.storage import Room
from pkgindex.throttles import LimitReached, admit, caller_of
from pkgindex.upload.errors import InvalidUpload
from pkgindex.upload.examine import check_early, examine
from pkgindex.upload.linger import LingeringResponse
from pkgindex.upload.request import Fields, check_head, read_form
from pkgindex.upload.services import publish, require_upload
from pkgindex.upload.standing import is_published, stand
from pkgindex.upload.submission import DIGEST_LENGTHS, Submission
from throttling.lines import Costs

# What `Submission.from_fields` wants before it judges; the rest of a form may follow after the file.
NEEDED = frozenset({":action", "metadata_version", "name", "version", "filetype", "pyversion"})

# What a body has besides its file, at most, unless somebody fills a form on purpose: only beyond it a declared length
# says that the file is too large for the room that is left. The end decides to the byte.
FORM_USUAL = 256 << 10

log = logging.getLogger(__name__)


class MethodNotAllowed(ServiceError):
    """Something other than POST."""

    code = "method_not_allowed"


class StorageUnavailable(ServiceError):
    """Our disk or our database failed; nothing was stored."""

    code = "unavailable"


@csrf_exempt
def upload(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Take one file for the index `slug`, or for the default index."""
    try:
        if request.method != "POST":
            raise MethodNotAllowed("This is the address for uploads: give it to twine or uv as the repository URL.")
        _receive(request, slug)
    except ServiceError as error:
        return _refusal(request, error)
    except (OSError, DatabaseError):
        log.exception("An upload failed in the storage or the database")
        return _refusal(request, StorageUnavailable("The file could not be stored just now; nothing of it was kept."))
    return HttpResponse(content_type="text/plain; charset=utf-8")


def _receive(request: HttpRequest, slug: str) -> None:
    who = identify(request)
    index = _find_index(slug, who)
    _require_somewhere(who, index)
    admit(request, "upload", Costs())
    limit = index.policy.max_file_bytes
    length = check_head(request, limit)
    room = Room.of(who, index.slug, caller_of(request))
    _check_room(room, length, index)

    def early(fields: Fields, filename: str) -> None:
        _check_early(fields, filename, who, index)
        _check_room_of(fields, filename, room, length, index)

    form = read_form(request, limit, early)
    try:
        fields = _with_query(request, form.fields)
        submission = Submission.from_fields(fields, form.filename)
        if form.spool is None:
            raise InvalidUpload("Upload payload does not have a file.")
        spooled = form.spool.finish()
        standing = stand(submission.name, submission.version, submission.filename, spooled.sha256, index)
        require_upload(who, index, submission.name, standing.project.pk if standing.project else None)
        if is_published(submission, spooled, index, standing):
            return
        distribution = examine(submission, spooled, index.policy)
        publish(distribution, spooled, index, who, actor_of(request, who), room, standing)
    finally:
        form.discard()


def _find_index(slug: str, who: Who) -> IndexView:
    index = find_index(slug)
    if index is not None:
        return index
    if who is ANONYMOUS:
        raise AuthenticationRequired(f"Authentication is required to upload to index '{slug}'.", realm=slug)
    raise NotFound(f"There is no index '{slug}' here, or you may not see it." if slug else "There is no default index.")


def _require_somewhere(who: Who, index: IndexView) -> None:
    """Before the body is read: a right on the index, or on any one project of it."""
    if decide(who, Action.UPLOAD, index.place) is not Verdict.ALLOW and who.project_ranks:
        projects = Project.objects.filter(index_id=index.id, pk__in=list(who.project_ranks))
        for pk, name in projects.values_list("pk", "normalized_name"):
            if decide(who, Action.UPLOAD, index.project_place(name, pk)) is Verdict.ALLOW:
                return
    require(who, Action.UPLOAD, index.place, f"index '{index.slug}'", realm=index.slug)


def _require_project(who: Who, index: IndexView, name: str) -> None:
    if decide(who, Action.UPLOAD, index.project_place(normalize(name), None)) is Verdict.ALLOW:
        return  # whichever project it is: a right on the project can only add to that on the index
    project = Project.objects.filter(index_id=index.id, normalized_name=normalize(name)).only("pk").first()
    require_upload(who, index, name, project.pk if project else None)


def _check_early(fields: Fields, filename: str, who: Who, index: IndexView) -> None:
    """Where the file begins: refuse what can be refused already. Most clients send their fields before the file."""
    name = next((value.strip() for value in fields.get("name", ())), "")
    if not name:
        return
    _require_project(who, index, name)
    if fields.keys() >= NEEDED and fields.keys() & DIGEST_LENGTHS.keys():
        check_early(Submission.from_fields(fields, filename), index.policy)


def _check_room(room: Room, length: int, index: IndexView) -> None:
    """Before the body is read: refuse what cannot fit, unless it may be a file that is there already."""
    least = length - FORM_USUAL
    if least > 0:  # else it may be nearly all fields
        sizes = least, length
        room.check(least, length, unless=lambda: File.objects.filter(index_id=index.id, size__range=sizes).exists())


def _check_room_of(fields: Fields, filename: str, room: Room, length: int, index: IndexView) -> None:
    """Where the file begins: the same with its project. A file that is there already needs no room."""
    name = next((value.strip() for value in fields.get("name", ())), "")

    def there() -> bool:
        return File.objects.filter(index_id=index.id, filename=filename).exists()

    room.check(max(1, length - FORM_USUAL), length, normalize(name), unless=there)


def _with_query(request: HttpRequest, fields: Fields) -> Fields:
    """The form with `:action` from the query string where only that has it, as PyPI reads it."""
    action = request.GET.getlist(":action")
    return {":action": action, **fields} if action else fields


def _refusal(request: HttpRequest, error: ServiceError) -> HttpResponse:
    """The sentence where each client looks for it: the reason phrase, and a body of the kind it asks for."""
    status, sentence = status_of(error), error.sentence
    body, kind = sentence, "text/plain; charset=utf-8"
    if request_wants_json(request):
        # uv reads the sentence only where the type is exactly this, without a charset.
        title = HTTPStatus(status).phrase
        body = json.dumps({"code": f"{status} {sentence}", "message": sentence, "title": title})
        kind = "application/json"
    response = LingeringResponse(request, body, content_type=kind, status=status)
    response.reason_phrase = reason_phrase(sentence)
    if isinstance(error, MethodNotAllowed):
        response["Allow"] = "POST"
    if isinstance(error, LimitReached):
        error.decorate(response)
    return decorate(response, error)
