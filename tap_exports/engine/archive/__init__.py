"""Archives read member by member from the spool: nothing is unpacked onto the disk, no path of theirs is followed."""

from __future__ import annotations

from tap_exports.engine.archive.documents import Item, read_items
from tap_exports.engine.archive.inventory import Counts, Inventory, Section, section_of
from tap_exports.engine.archive.media import media_type, suffix_of
from tap_exports.engine.archive.member import Member
from tap_exports.engine.archive.read import read_members
from tap_exports.engine.archive.store import Store, Stored, digest
from tap_exports.engine.archive.survey import Survey, survey
from tap_exports.engine.unpacked import ArchiveLimits

__all__ = [
    "ArchiveLimits",
    "Counts",
    "Inventory",
    "Item",
    "Member",
    "Section",
    "Store",
    "Stored",
    "Survey",
    "digest",
    "media_type",
    "read_items",
    "read_members",
    "section_of",
    "suffix_of",
    "survey",
]
