"""Small wheels made in memory: a name, a version and what it requires."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cached_property

EXTRA = "made"
"""The extra that every made wheel provides."""
BEFORE_ZIP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Wheel:
    """A release of a package, as one wheel for any Python.

    Attributes:
        name: Name of the project, in any spelling.
        version: Version of the release.
        requires: Requirements, as they stand in the metadata.
        files: Text of further files, by path.
        build: Build tag: a wheel of the same version with a higher one comes first.
        yanked: Whether the index marks the release as yanked.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    build: str = ""
    yanked: bool = False

    @cached_property
    def filename(self) -> str:
        """Return the wheel's file name."""
        parts = [self._stem, self.build, "py3-none-any.whl"]
        return "-".join(filter(None, parts))

    @cached_property
    def content(self) -> bytes:
        """Return the wheel's bytes, the same ones each time."""
        folder = f"{self._stem}.dist-info"
        wheel = f"Wheel-Version: 1.0\nGenerator: tests {self.build}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        files = {**dict(self.files), f"{folder}/METADATA": self._metadata, f"{folder}/WHEEL": wheel}
        record = f"{folder}/RECORD"
        files[record] = "".join(f"{path},,\n" for path in (*files, record))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, text in files.items():
                archive.writestr(zipfile.ZipInfo(path, BEFORE_ZIP), text)
        return packed.getvalue()

    @cached_property
    def sha256(self) -> str:
        """Return the wheel's digest in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def _stem(self) -> str:
        return f"{self.name.replace('-', '_').replace('.', '_')}-{self.version}"

    @property
    def _metadata(self) -> str:
        head = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}", f"Provides-Extra: {EXTRA}"]
        return "\n".join([*head, *(f"Requires-Dist: {each}" for each in self.requires), ""])
