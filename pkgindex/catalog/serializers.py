"""The catalogue's rows as JSON."""

from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.reverse import reverse

from pkgindex.accounts.models import Role
from pkgindex.accounts.roles import Rank
from pkgindex.catalog.models import File, Index, JournalEntry, Project, ProjectStatus, Release
from pkgindex.catalog.paths import file_path
from pkgindex.catalog.services import REASON_LENGTH


class IndexSerializer(serializers.ModelSerializer[Index]):
    """An index with its settings; the slug is chosen once."""

    class Meta:
        model = Index
        fields = [
            "slug",
            "title",
            "visibility",
            "is_default",
            "allow_local_versions",
            "allow_linux_platform",
            "allow_direct_references",
            "allow_unknown_classifiers",
            "close_releases_after_days",
            "max_file_bytes",
            "mirror_copies",
            "delivery",
            "mirror_policy",
            "created_at",
            "last_serial",
        ]
        read_only_fields = ["created_at", "last_serial"]
        # An index that becomes the default takes the place of another: no conflict for a validator to find.
        extra_kwargs: dict[str, dict[str, Any]] = {"is_default": {"validators": []}}
        validators: list[Any] = []

    def validate_slug(self, value: str) -> str:
        """Refuse to change it."""
        if self.instance is not None and value != self.instance.slug:
            raise serializers.ValidationError("The slug is part of addresses and cannot be changed.")
        return value


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A project."""

    index = serializers.CharField(source="index.slug", read_only=True)
    url = serializers.SerializerMethodField()

    class Meta:
        model = Project
        fields = [
            "url",
            "index",
            "name",
            "normalized_name",
            "status",
            "status_reason",
            "created_at",
            "last_serial",
        ]
        read_only_fields = fields

    def get_url(self, row: Project) -> str:
        """Its address in this API."""
        return _url(self, "project", row.index.slug, row.normalized_name)


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    """A release in a list."""

    index = serializers.CharField(source="project.index.slug", read_only=True)
    project = serializers.CharField(source="project.normalized_name", read_only=True)
    url = serializers.SerializerMethodField()

    class Meta:
        model = Release
        fields = [
            "url",
            "index",
            "project",
            "version",
            "summary",
            "requires_python",
            "yanked",
            "yanked_reason",
            "created_at",
        ]
        read_only_fields = fields

    def get_url(self, row: Release) -> str:
        """Its address in this API."""
        return _url(self, "release", row.project.index.slug, row.project.normalized_name, row.version)


class ReleaseDetailSerializer(ReleaseSerializer):
    """A release with its core metadata."""

    metadata = serializers.DictField(read_only=True)

    class Meta(ReleaseSerializer.Meta):
        fields = [*ReleaseSerializer.Meta.fields, "metadata", "description"]
        read_only_fields = fields


class FileSerializer(serializers.ModelSerializer[File]):
    """A file; `download` is its address for installers."""

    index = serializers.CharField(source="index.slug", read_only=True)
    project = serializers.CharField(source="release.project.normalized_name", read_only=True)
    version = serializers.CharField(source="release.version", read_only=True)
    sha256 = serializers.CharField(source="blob_id", read_only=True)
    blake2b_256 = serializers.CharField(source="blake2b", read_only=True)
    metadata_sha256 = serializers.CharField(source="metadata_blob_id", read_only=True, allow_null=True)
    uploaded_by = serializers.CharField(source="uploaded_by.username", read_only=True, default=None, allow_null=True)
    url = serializers.SerializerMethodField()
    download = serializers.SerializerMethodField()

    class Meta:
        model = File
        fields = [
            "url",
            "download",
            "index",
            "project",
            "version",
            "filename",
            "packagetype",
            "python_version",
            "requires_python",
            "size",
            "sha256",
            "blake2b_256",
            "md5",
            "metadata_sha256",
            "yanked",
            "yanked_reason",
            "uploaded_at",
            "uploaded_by",
        ]
        read_only_fields = fields

    def get_url(self, row: File) -> str:
        """Its address in this API."""
        return _url(self, "file", row.index.slug, row.release.project.normalized_name, row.filename)

    def get_download(self, row: File) -> str:
        """Where the bytes are."""
        return _absolute(self, f"/{file_path(row.blob_id, row.filename)}")


class JournalSerializer(serializers.ModelSerializer[JournalEntry]):
    """A change that clients could see."""

    index = serializers.CharField(source="index.slug", read_only=True)
    project = serializers.CharField(source="normalized_name", read_only=True)
    actor = serializers.CharField(source="actor_label", read_only=True)

    class Meta:
        model = JournalEntry
        fields = ["serial", "at", "index", "project", "version", "filename", "action", "actor"]
        read_only_fields = fields


class RoleSerializer(serializers.ModelSerializer[Role]):
    """A rank of a user or a group on an index, or on a project in it."""

    index = serializers.SerializerMethodField()
    project = serializers.CharField(source="project.normalized_name", read_only=True, default=None, allow_null=True)
    user = serializers.CharField(source="user.username", read_only=True, default=None, allow_null=True)
    group = serializers.CharField(source="group.name", read_only=True, default=None, allow_null=True)

    class Meta:
        model = Role
        fields = ["id", "index", "project", "user", "group", "rank", "created_at"]
        read_only_fields = fields

    def get_index(self, row: Role) -> str:
        """The slug of the index, also for a role on a project."""
        return row.index.slug if row.index else row.project.index.slug if row.project else ""


class GrantSerializer(serializers.Serializer[Any]):
    """A role to grant: on the index, or on `project` in it; to a user or to a group."""

    index = serializers.CharField(max_length=50)
    project = serializers.CharField(max_length=200, required=False)
    user = serializers.CharField(max_length=150, required=False)
    group = serializers.CharField(max_length=150, required=False)
    rank = serializers.ChoiceField(choices=[rank.value for rank in Rank])

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One holder."""
        if ("user" in attrs) == ("group" in attrs):
            raise serializers.ValidationError("Name a user or a group, not both.")
        return attrs


class RankSerializer(serializers.Serializer[Any]):
    """The new rank of a role."""

    rank = serializers.ChoiceField(choices=[rank.value for rank in Rank])


class ReasonSerializer(serializers.Serializer[Any]):
    """Why; shown to people by installers and pages."""

    reason = serializers.CharField(max_length=REASON_LENGTH, required=False, allow_blank=True, default="")


class StatusSerializer(ReasonSerializer):
    """A status marker (PEP 792) and why."""

    status = serializers.ChoiceField(choices=ProjectStatus.choices)


class SerialSerializer(serializers.Serializer[Any]):
    """What a change did: the journal's serial of it, null where nothing had to change."""

    serial = serializers.IntegerField(allow_null=True)


def _url(serializer: serializers.BaseSerializer[Any], view: str, *names: str) -> str:
    return _absolute(serializer, reverse(f"api-{view}", args=names))


def _absolute(serializer: serializers.BaseSerializer[Any], path: str) -> str:
    if settings.PUBLIC_URL:
        return f"{settings.PUBLIC_URL}{path}"
    return str(serializer.context["request"].build_absolute_uri(path))
