"""Indexes, projects, releases, files, and the journal of every change that a client can see."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from balancing.policies import DEFAULT as DEFAULT_POLICY
from balancing.policies import POLICIES
from pkgindex.accounts.roles import Visibility
from pkgindex.catalog.policy import IndexPolicy, IndexView


class Delivery(models.TextChoices):
    """How files of an index reach who asks for them; a file that no healthy node has comes from our own storage."""

    PROXY = "proxy"
    REDIRECT = "redirect"
    ACCEL = "accel"
    DIRECT = "direct"


EVERY_NODE = -1


class Index(models.Model):
    """One package index: its address, who may read it and what it accepts."""

    slug = models.CharField(
        max_length=50,
        unique=True,
        validators=[RegexValidator(r"\A[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z", "Lower-case letters, digits and dashes.")],
        help_text="Its place in the URL: /i/<slug>/simple/.",
    )
    title = models.CharField(max_length=200, blank=True)
    visibility = models.CharField(
        max_length=10,
        choices=[(v.value, v.value) for v in Visibility],
        default=Visibility.PRIVATE.value,
        help_text="public: everyone reads; internal: everyone who signs in; private: who has a role.",
    )
    is_default = models.BooleanField(default=False, help_text="Also served at /simple/ and /legacy/.")
    allow_local_versions = models.BooleanField(default=True, help_text="Versions such as 1.0+team.1.")
    allow_linux_platform = models.BooleanField(default=True, help_text="Wheels tagged plain linux_x86_64.")
    allow_direct_references = models.BooleanField(default=True, help_text="Requirements such as `pkg @ https://…`.")
    allow_unknown_classifiers = models.BooleanField(default=True, help_text="Classifiers that PyPI does not list.")
    close_releases_after_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Releases older than this take no new files; empty: never closed."
    )
    max_file_bytes = models.BigIntegerField(default=4 << 30, validators=[MinValueValidator(1)])
    mirror_copies = models.SmallIntegerField(
        default=EVERY_NODE,
        validators=[MinValueValidator(EVERY_NODE), MaxValueValidator(100)],
        help_text="Copies of each file on mirror nodes; -1: one on every node; 0: none.",
    )
    delivery = models.CharField(
        max_length=10,
        choices=Delivery.choices,
        default=Delivery.PROXY,
        help_text="proxy: from a node through us; redirect: clients ask the node; accel: nginx sends; direct: we send.",
    )
    mirror_policy = models.CharField(
        max_length=20,
        choices=[(name, name) for name in POLICIES],
        default=DEFAULT_POLICY,
        help_text="How the node for a download is chosen.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_serial = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["slug"]
        verbose_name_plural = "indexes"
        constraints = [
            models.UniqueConstraint(name="one_default_index", fields=["is_default"], condition=Q(is_default=True))
        ]

    def __str__(self) -> str:
        return self.slug

    def view(self) -> IndexView:
        """The row as the frozen value that requests work with."""
        return IndexView(
            id=self.pk,
            slug=self.slug,
            title=self.title or self.slug,
            visibility=Visibility(self.visibility),
            is_default=self.is_default,
            policy=IndexPolicy(
                allow_local_versions=self.allow_local_versions,
                allow_linux_platform=self.allow_linux_platform,
                allow_direct_references=self.allow_direct_references,
                allow_unknown_classifiers=self.allow_unknown_classifiers,
                close_releases_after_days=self.close_releases_after_days,
                max_file_bytes=min(self.max_file_bytes, settings.MAX_UPLOAD_BYTES),
            ),
            delivery=self.delivery,
            mirror_policy=self.mirror_policy,
        )


class ProjectStatus(models.TextChoices):
    """PEP 792 status markers."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    DEPRECATED = "deprecated"


class Project(models.Model):
    """A name in an index."""

    index = models.ForeignKey(Index, on_delete=models.PROTECT, related_name="projects")
    name = models.CharField(max_length=200, help_text="As its first upload wrote it.")
    normalized_name = models.CharField(max_length=200, db_index=True)
    status = models.CharField(max_length=12, choices=ProjectStatus.choices, default=ProjectStatus.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_serial = models.BigIntegerField(default=0, editable=False, help_text="The version of its pages.")

    class Meta:
        ordering = ["normalized_name"]
        constraints = [models.UniqueConstraint(name="project_name", fields=["index", "normalized_name"])]

    def __str__(self) -> str:
        return self.name


class Release(models.Model):
    """A version of a project with the core metadata of its first file."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="releases")
    version = models.CharField(max_length=200, help_text="As the first upload wrote it, in PEP 440's spelling.")
    canonical_version = models.CharField(max_length=200, help_text="Without trailing zeros: 1.0 and 1.0.0 are one.")
    yanked = models.BooleanField(default=False)
    yanked_reason = models.CharField(max_length=500, blank=True)
    summary = models.CharField(max_length=512, blank=True)
    requires_python = models.CharField(max_length=500, blank=True)
    metadata = models.JSONField(default=dict, help_text="Core metadata but for the description, as PyPI's JSON has it.")
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(name="release_version", fields=["project", "canonical_version"])]

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


class PackageType(models.TextChoices):
    """The two kinds of distribution that can be uploaded; values as the upload form has them."""

    SDIST = "sdist"
    WHEEL = "bdist_wheel"


class File(models.Model):
    """A distribution. Its row, and nothing else, makes a blob readable."""

    TYPES: ClassVar = PackageType.choices

    index = models.ForeignKey(Index, on_delete=models.PROTECT, related_name="files")
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="files")
    filename = models.CharField(max_length=300)
    packagetype = models.CharField(max_length=12, choices=TYPES)
    python_version = models.CharField(max_length=100, help_text="The wheel's Python tag, or `source`.")
    requires_python = models.CharField(max_length=500, blank=True)
    blob = models.ForeignKey("blobs.Blob", on_delete=models.PROTECT, related_name="+", help_text="sha256 of the file.")
    metadata_blob = models.ForeignKey(
        "blobs.Blob", null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Of its .metadata."
    )
    size = models.BigIntegerField(help_text="Bytes.")
    md5 = models.CharField(max_length=32)
    blake2b = models.CharField(max_length=64, help_text="BLAKE2b with a digest of 256 bits.")
    yanked = models.BooleanField(default=False)
    yanked_reason = models.CharField(max_length=500, blank=True)
    uploaded_at = models.DateTimeField(db_index=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(name="file_name", fields=["index", "filename"])]

    def __str__(self) -> str:
        return self.filename


class RetiredFilename(models.Model):
    """A filename whose file was deleted. It may come back with the same bytes and never with others."""

    index = models.ForeignKey(Index, on_delete=models.CASCADE, related_name="+")
    filename = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    retired_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(name="retired_filename", fields=["index", "filename"])]

    def __str__(self) -> str:
        return self.filename


class JournalHead(models.Model):
    """One row: the last serial given out. Whoever changes the catalogue holds it until they commit."""

    serial = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.serial)


class JournalEntry(models.Model):
    """A change that clients can see. Serials are one sequence and are committed in order, without gaps."""

    serial = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(auto_now_add=True)
    index = models.ForeignKey(Index, on_delete=models.CASCADE, related_name="journal")
    project_name = models.CharField(max_length=200)
    normalized_name = models.CharField(max_length=200)
    version = models.CharField(max_length=200, blank=True)
    filename = models.CharField(max_length=300, blank=True)
    action = models.CharField(max_length=50)
    actor_label = models.CharField(max_length=200)

    class Meta:
        ordering = ["-serial"]
        verbose_name_plural = "journal entries"
        indexes = [models.Index(fields=["index", "normalized_name"], name="journal_project")]

    def __str__(self) -> str:
        return f"{self.serial} {self.action} {self.project_name} {self.version} {self.filename}".rstrip()
