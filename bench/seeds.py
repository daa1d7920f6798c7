"""The words that generated text is made of; a few are longer than ASCII."""

from __future__ import annotations

WORDS = (
    "amber", "anchor", "autumn", "basket", "bridge", "brèche", "candle", "canyon",
    "carbon", "cedar", "circle", "copper", "cotton", "crystal", "delta", "desert",
    "ember", "falcon", "fjörd", "forest", "garnet", "glacier", "harbor", "hazel",
    "indigo", "island", "ivory", "jasper", "kernel", "lantern", "lemon", "lichen",
    "maple", "marble", "meadow", "mirror", "needle", "nickel", "ocean", "olive",
    "orchard", "pebble", "pepper", "prairie", "quartz", "quiver", "raven", "ribbon",
    "saddle", "saffron", "señal", "silver", "spruce", "summit", "thistle", "timber",
    "tulip", "umber", "valley", "velvet", "walnut", "willow", "winter", "zephyr",
)  # fmt: skip

KEY = "3f2b7c40d91e4a5f86a1"  # of the providers' APIs: in no record, or each of its values would be cut
