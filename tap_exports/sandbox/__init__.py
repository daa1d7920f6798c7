"""A sandbox of the providers' export APIs: real HTTP on loopback, with faults on demand.

It shares no code with the tap, so that the tap is tested against a second reading of the providers' documents.
"""

from __future__ import annotations

from tap_exports.sandbox.box import Sandbox
from tap_exports.sandbox.options import SandboxOptions

__all__ = ["Sandbox", "SandboxOptions"]
