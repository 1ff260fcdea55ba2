"""What one index accepts and shows: a value, made from the index's row. Imports no Django."""

from dataclasses import dataclass

from pkgindex.accounts.roles import Place, Visibility


@dataclass(frozen=True, slots=True)
class IndexPolicy:
    """Where a private index may be kinder than PyPI. The defaults are ours; PyPI's are the opposite ones."""

    allow_local_versions: bool = True
    allow_linux_platform: bool = True
    allow_direct_references: bool = True
    allow_unknown_classifiers: bool = True
    close_releases_after_days: int | None = None
    max_file_bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class IndexView:
    """An index as every request needs it."""

    id: int
    slug: str
    title: str
    visibility: Visibility
    is_default: bool
    policy: IndexPolicy
    delivery: str = "direct"  # one of catalog.models.Delivery
    mirror_policy: str = ""

    @property
    def place(self) -> Place:
        """The index itself, for a decision about it as a whole."""
        return Place(index_id=self.id, visibility=self.visibility)

    def project_place(self, normalized_name: str, project_id: int | None = None) -> Place:
        """A project in this index, for a decision about it."""
        return Place(self.id, self.visibility, project_id, normalized_name)
