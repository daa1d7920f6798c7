"""The providers that are installed, and their blocks of the configuration; see docs/providers.md."""

from tap_exports.registry.blocks import BLOCKS, BROKEN, CONFIG, PROVIDERS
from tap_exports.registry.installed import GROUP, Provider, providers, refused

__all__ = ["BLOCKS", "BROKEN", "CONFIG", "GROUP", "PROVIDERS", "Provider", "providers", "refused"]
