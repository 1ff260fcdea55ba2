"""Users, groups, tokens and audit entries as JSON."""

from typing import Any

from django.contrib.auth.models import Group
from rest_framework import serializers

from pkgindex.accounts.limits import MOST_PATTERNS, NAME_LENGTH, PATTERN_LENGTH
from pkgindex.accounts.models import Token, User
from pkgindex.accounts.roles import Scope
from pkgindex.accounts.services import LONGEST_OVERLAP
from pkgindex.audit.models import AuditEntry

SCOPES = [scope.value for scope in Scope]


class TokenSerializer(serializers.ModelSerializer[Token]):
    """A token without its secret."""

    user = serializers.CharField(source="user.username", read_only=True)
    index = serializers.CharField(source="index.slug", read_only=True, default=None, allow_null=True)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES), read_only=True)
    project_patterns = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Token
        fields = [
            "id",
            "user",
            "name",
            "hint",
            "scopes",
            "index",
            "project_patterns",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ]
        read_only_fields = fields


class IssuedTokenSerializer(TokenSerializer):
    """A token just made: the only answer that ever holds the secret."""

    secret = serializers.CharField(read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class IssueSerializer(serializers.Serializer[Any]):
    """What a new token may do; `user` is for administrators."""

    name = serializers.CharField(max_length=NAME_LENGTH)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES), allow_empty=False)
    index = serializers.CharField(max_length=50, required=False, allow_null=True, default=None)
    project_patterns = serializers.ListField(
        child=serializers.CharField(max_length=PATTERN_LENGTH), required=False, default=list, max_length=MOST_PATTERNS
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    user = serializers.CharField(max_length=150, required=False)


class RotateSerializer(serializers.Serializer[Any]):
    """How long the old secret goes on working, in hours."""

    overlap_hours = serializers.IntegerField(min_value=0, max_value=LONGEST_OVERLAP, required=False, default=0)


class TokenBriefSerializer(serializers.Serializer[Any]):
    """The token that a request used."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    index = serializers.CharField(allow_null=True)
    project_patterns = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)


class RankSerializer(serializers.Serializer[Any]):
    """A rank that the caller holds; `project` is null for one on a whole index."""

    index = serializers.CharField()
    project = serializers.CharField(allow_null=True)
    rank = serializers.CharField()


class WhoamiSerializer(serializers.Serializer[Any]):
    """The caller as the service sees them."""

    username = serializers.CharField()
    is_superuser = serializers.BooleanField()
    token = TokenBriefSerializer(allow_null=True)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES))
    ranks = RankSerializer(many=True)


class UserSerializer(serializers.ModelSerializer[User]):
    """A user; the password can be set and never read."""

    password = serializers.CharField(
        write_only=True, required=False, allow_null=True, max_length=1000, trim_whitespace=False
    )

    class Meta:
        model = User
        fields = [
            "username",
            "email",
            "first_name",
            "last_name",
            "is_active",
            "is_staff",
            "is_superuser",
            "date_joined",
            "last_login",
            "password",
        ]
        read_only_fields = ["date_joined", "last_login"]

    def validate_username(self, value: str) -> str:
        """Refuse to change it: logs and audit rows name it."""
        if self.instance is not None and value != self.instance.username:
            raise serializers.ValidationError("A username cannot be changed.")
        return value


class GroupSerializer(serializers.ModelSerializer[Group]):
    """A group in a list."""

    member_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Group
        fields = ["id", "name", "member_count"]


class GroupDetailSerializer(serializers.ModelSerializer[Group]):
    """A group with its members by username; a list that is sent replaces them."""

    members = serializers.SlugRelatedField(
        source="user_set", slug_field="username", many=True, queryset=User.objects.all(), required=False
    )

    class Meta:
        model = Group
        fields = ["id", "name", "members"]


class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    """Who did what to what."""

    actor = serializers.CharField(source="actor_label", read_only=True)
    detail = serializers.DictField(read_only=True)

    class Meta:
        model = AuditEntry
        fields = ["id", "at", "actor", "ip", "action", "target_type", "target", "detail"]
        read_only_fields = fields
