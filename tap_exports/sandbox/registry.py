"""The providers that the sandbox serves; a new one is imported and named here."""

from __future__ import annotations

from tap_exports.sandbox.cension import Cension
from tap_exports.sandbox.closient import Closient
from tap_exports.sandbox.cornect import Cornect
from tap_exports.sandbox.exelensia import Exelensia
from tap_exports.sandbox.packagex import PackageX
from tap_exports.sandbox.provider import Provider

PROVIDERS: tuple[type[Provider], ...] = (Cension, Exelensia, PackageX, Cornect, Closient)
