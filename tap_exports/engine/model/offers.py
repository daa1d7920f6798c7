"""What an account offers for export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that can be exported, as the configuration takes it.

    Attributes:
        name: What people call it.
        setting: The list in the provider's block that takes the entry.
        entry: The entry.
    """

    name: str
    setting: str
    entry: Any
