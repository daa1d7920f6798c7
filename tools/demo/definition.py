"""Write the demonstration's meltano.yml. A script for the environment of Meltano, which has a YAML library."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml


def write(source: Path, target: Path, programs: dict[str, str]) -> None:
    """Write a definition in which plugins are programs that are there already.

    Args:
        source: The repository's meltano.yml.
        target: Where to write.
        programs: Path of each program, by the plugin's name.
    """
    made = yaml.safe_load(source.read_text(encoding="utf-8"))
    for plugin in (each for kind in made["plugins"].values() for each in kind):
        if plugin["name"] in programs:
            plugin["executable"] = programs[plugin["name"]]
            del plugin["pip_url"]
    target.write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
