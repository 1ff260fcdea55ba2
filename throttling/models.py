"""Plans, who they are assigned to, exemptions and bans; every change leaves a row in `Change`.

Rows are written through `throttling.services`, which records the change and tells every process.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from throttling import conf, named, rates
from throttling.rates import Mode, Per, RateError
from throttling.snapshot import APART
from throttling.subjects import SubjectError

SLUG = RegexValidator(r"\A[a-z0-9][a-z0-9._-]*\Z", "Lower-case letters, digits, dots, dashes and underscores.")


def validate_rate(text: str) -> None:
    """Raise ValidationError where the text is not one limit."""
    try:
        rates.parse(text)
    except RateError as error:
        raise ValidationError(str(error)) from None


def validate_subject(text: str) -> None:
    """Raise ValidationError where the text names no subject."""
    try:
        named.resolve(text)
    except SubjectError as error:
        raise ValidationError(str(error)) from None


DRF_PLAN = "drf"  # the plan whose limits name the scopes of Django REST framework's throttles


class Plan(models.Model):
    """A named set of limits."""

    name = models.CharField(max_length=50, unique=True, validators=[SLUG])
    description = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Limit(models.Model):
    """One limit of a plan, written as in limit strings."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="limits")
    name = models.CharField(max_length=40, validators=[SLUG], help_text="Shown to callers in the RateLimit headers.")
    rate = models.CharField(
        max_length=120,
        validators=[validate_rate],
        help_text="Such as 600/minute burst=1000 delay=2s, 5MB/s, 100GB/month calendar, 8 concurrent, 50GB storage.",
    )
    scopes = models.CharField(
        max_length=200, blank=True, help_text="Words joined by spaces; empty: every scope, except breach and login."
    )
    per = models.CharField(
        max_length=10,
        choices=[(item.value, item.value) for item in Per],
        default=Per.CALLER.value,
        help_text="Whose bucket is charged; assignee: one bucket shared by the whole group or network.",
    )
    mode = models.CharField(
        max_length=10,
        choices=[(item.value, item.value) for item in Mode],
        default=Mode.ENFORCE.value,
        help_text="shadow: count and log what would be refused, refuse nothing.",
    )
    ban_seconds = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(30 * 86_400)], help_text="Ban who exceeds it for so long; 0: no ban."
    )
    extend = models.BooleanField(default=True, help_text="Every attempt during a ban starts it again.")
    per_resource = models.BooleanField(default=False, help_text="Each URL has a bucket of its own.")
    closed = models.BooleanField(default=False, help_text="Refuse while the store is away: for guards.")

    class Meta:
        ordering = ["plan", "id"]
        constraints = [models.UniqueConstraint(name="throttling_limit_name", fields=["plan", "name"])]

    def __str__(self) -> str:
        return f"{self.plan.name}/{self.name}"

    def value(self) -> rates.Limit:
        """The limit as the frozen value that decisions use. Raises RateError."""
        return rates.Limit(
            name=self.name,
            rate=rates.parse(self.rate),
            scopes=frozenset(self.scopes.split()),
            per=Per(self.per),
            mode=Mode(self.mode),
            ban_for=self.ban_seconds * rates.SECOND,
            extend=self.extend,
            per_resource=self.per_resource,
            closed=self.closed,
            ident=str(self.pk),
        )

    def clean(self) -> None:
        """Refuse combinations that have no meaning."""
        if getattr(getattr(self, "plan", None), "name", "") != DRF_PLAN:
            _check_scopes(self.scopes)
        try:
            rate = rates.parse(self.rate)
        except RateError:
            return  # the field says so itself
        if "breach" in self.scopes.split() and not self.ban_seconds:
            raise ValidationError({"ban_seconds": "A limit on breaches acts by a ban: say for how long."})
        if self.per_resource and rate.unit in {rates.Unit.STORAGE, rates.Unit.CONCURRENT}:
            raise ValidationError({"per_resource": "Storage and concurrency are not counted per URL."})


class Assignment(models.Model):
    """A plan and who it is for. The most specific subject wins; limits per assignee apply in addition."""

    subject = models.CharField(
        max_length=100,
        validators=[validate_subject],
        help_text="user:42, group:3, token:7 or their names, addr:203.0.113.9, net:10.0.0.0/8, anon, users, everyone.",
    )
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="assignments")
    order = models.PositiveSmallIntegerField(default=100, help_text="Among a caller's groups the lowest goes first.")
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["subject", "order", "id"]
        constraints = [models.UniqueConstraint(name="throttling_assignment_once", fields=["subject", "plan"])]

    def __str__(self) -> str:
        return f"{self.subject} → {self.plan.name}"

    def clean(self) -> None:
        """Keep the subject in its canonical form, so that it is found."""
        self.subject = _canonical(self.subject)


class Exemption(models.Model):
    """Who is never limited nor banned: the allow list."""

    subject = models.CharField(max_length=100, unique=True, validators=[validate_subject])
    note = models.CharField(max_length=300, blank=True)
    scopes = models.CharField(max_length=200, blank=True, help_text="Words joined by spaces; empty: every scope.")
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["subject"]

    def __str__(self) -> str:
        return self.subject

    def clean(self) -> None:
        """Keep the subject in its canonical form, so that it is found."""
        self.subject = _canonical(self.subject)
        _check_scopes(self.scopes)


class Ban(models.Model):
    """One ban, by a limit or by a person. The row stays when it is over: it is the history."""

    subject = models.CharField(max_length=100, validators=[validate_subject], db_index=True)
    reason = models.CharField(max_length=300)
    began_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(db_index=True)
    automatic = models.BooleanField(default=False, editable=False)
    lifted_at = models.DateTimeField(null=True, blank=True, editable=False)
    lifted_by = models.CharField(max_length=150, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}"

    def clean(self) -> None:
        """A ban has a subject that can be told from others, and an end."""
        self.subject = _canonical(self.subject)
        if self.subject in {"everyone", "users"} or self.subject.startswith("group:"):
            raise ValidationError({"subject": "A ban is for a user, token, address, network or anon."})

    @property
    def in_force(self) -> bool:
        """True while the row itself says so; the store may have extended it."""
        return self.lifted_at is None and self.until > timezone.now()


class Change(models.Model):
    """Who changed what: rows are added and never changed."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=20)
    target = models.CharField(max_length=200)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.target}"


class Revision(models.Model):
    """One row: the number of the plans in force, raised in the transaction of every change."""

    number = models.PositiveBigIntegerField(default=0, validators=[MinValueValidator(0)])


def _check_scopes(text: str) -> None:
    """Raise ValidationError for a word that is no scope, where the project says which words are."""
    known = {*conf.get().scopes, *APART} if conf.get().scopes else set(text.split())
    unknown = sorted(set(text.split()) - known)
    if unknown:
        raise ValidationError(
            {"scopes": f"There is no scope {unknown[0][:40]!r}; scopes are {', '.join(sorted(known))}."}
        )


def _canonical(text: str) -> str:
    try:
        return named.resolve(text)
    except SubjectError as error:
        raise ValidationError({"subject": str(error)}) from None


def as_data(row: models.Model) -> dict[str, Any]:
    """The row's values as JSON can hold them, foreign keys by name."""
    data: dict[str, Any] = {}
    for field in row._meta.concrete_fields:  # noqa: SLF001 - public by its documentation
        if field.primary_key:
            continue
        value = getattr(row, field.name)
        if isinstance(value, models.Model):
            value = str(value)
        data[field.name] = value if isinstance(value, str | int | bool | None) else str(value)
    return data
