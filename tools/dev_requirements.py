"""Prints the third-party requirements of a development environment, one a line, as pyproject.toml states them."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
wanted = {*project["dependencies"], *extras["cli"], *extras["dev"]}
print("\n".join(sorted(w for w in wanted if not w.startswith(project["name"]))))
