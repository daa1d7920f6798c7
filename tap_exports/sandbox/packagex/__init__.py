"""The API of PackageX: exports of an organization's resources."""

from __future__ import annotations

from tap_exports.sandbox.packagex.api import PackageX

__all__ = ["PackageX"]
