"""What an archive is said to hold, section by section, and what was found in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

# No document lists the words of a section's status; these mean that something is missing.
FAILURES = frozenset({"failed", "failure", "error", "errored", "partial", "incomplete", "cancelled", "timed_out"})


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an export as the provider describes it.

    Attributes:
        key: Its name.
        status: The provider's own word.
        records: Records in it, None where it does not say.
        binaries: Files in it, None where it does not say.
        error: Why it failed.
    """

    key: str
    status: str | None = None
    records: int | None = None
    binaries: int | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Return whether the section is not whole."""
        return bool(self.error) or (self.status or "").lower() in FAILURES

    def differs_from(self, other: Section) -> bool:
        """Return whether both give a count, and not the same one."""
        pairs = ((self.records, other.records), (self.binaries, other.binaries))
        return any(one is not None and two is not None and one != two for one, two in pairs)

    @property
    def complaint(self) -> str:
        """Return what to tell of a failed section."""
        return f'section {self.key} is "{self.status}"' + (f": {self.error}" if self.error else "")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the provider says of an archive.

    Attributes:
        sections: Its sections, None where it does not list them.
        size: Bytes of the archive, None where it does not say.
    """

    sections: Sequence[Section] | None = None
    size: int | None = None

    @property
    def keys(self) -> frozenset[str]:
        """Return the names of the sections."""
        return frozenset(section.key for section in self.sections or ())

    @property
    def failed(self) -> Sequence[Section]:
        """Return the sections that are not whole."""
        return [section for section in self.sections or () if section.failed]

    def contradicted(self, other: Inventory) -> list[str]:
        """Return the sections that another inventory lacks, adds, or counts otherwise; a count left out is none."""
        own, others = ({section.key: section for section in each.sections or ()} for each in (self, other))
        shared = own.keys() & others.keys()
        return sorted((own.keys() ^ others.keys()) | {key for key in shared if own[key].differs_from(others[key])})


@dataclass(slots=True)
class Counts:
    """Items found, by section."""

    found: Counter[str] = field(default_factory=Counter)

    def add(self, section: str, keys: Collection[str]) -> None:
        """Count one; whatever belongs to no known section shares one place, so that this stays small."""
        self.found[section if section in keys else ""] += 1

    def differences(self, declared: Iterable[tuple[Section, int | None]]) -> list[str]:
        """Return `section: found of declared` for every section that differs, nothing when the sums agree.

        Which path belongs to which section is not documented, so the sum over all whole sections is the proof; failed
        sections count on neither side.

        Args:
            declared: Each section with its own count; one without a count makes the sum unknowable.
        """
        pairs = list(declared)
        failed = sum(self.found[section.key] for section, _ in pairs if section.failed)
        whole = [(section, count) for section, count in pairs if not section.failed]
        counted = [(section, count) for section, count in whole if count is not None]
        differing = [(s.key, self.found[s.key], count) for s, count in counted if self.found[s.key] != count]
        found = [f"{key}: {number} of {count}" for key, number, count in differing]
        if len(counted) < len(whole):
            return found
        total, due = self.found.total() - failed, sum(count for _, count in counted)
        return [] if total == due else found or [f"{total} in all, not {due}"]


def section_of(path: str, root: str, keys: frozenset[str]) -> str:
    """Return the section that a member belongs to.

    The first part of the path that is a section's name decides; without one it is the folder below the root, or the
    name of the file itself.

    Args:
        path: Of the member.
        root: What all paths begin with, `""` or with a final slash.
        keys: Names of the known sections.
    """
    *folders, name = path.removeprefix(root).split("/")
    named = _named(keys)
    for folder in folders:
        if key := named.get(_plain(folder)):
            return key
    stem = name.rpartition(".")[0] or name
    return named.get(_plain(stem)) or (folders[0] if folders else stem)


@lru_cache(maxsize=64)
def _named(keys: frozenset[str]) -> dict[str, str]:
    return {_plain(key): key for key in keys}


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
