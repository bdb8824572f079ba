"""Prints the third-party requirements of a development environment, one a line, as pyproject.toml states them."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
needed = (name for name in extras if not name.startswith("cuda"))
wanted = {*project["dependencies"], *(text for name in needed for text in extras[name])}
print("\n".join(sorted(w for w in wanted if not w.startswith(project["name"]))))
