"""What the site has beside the pages of docs/: the API, commands, messages, records, and pages of the root.

MkDocs calls these functions; see mkdocs.yml.
"""

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import docs_messages  # noqa: E402
import docs_performance  # noqa: E402

import sparsefmt as sf  # noqa: E402

ROOT_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}


def rooms() -> list[str]:
    """The modules among the public names."""
    return [name for name in sf.__all__ if inspect.ismodule(getattr(sf, name))]


def public(module: Any) -> list[str]:  # noqa: ANN401
    """The public names of a module."""
    return sorted(getattr(module, "__all__", []), key=str.lower)


def api_pages() -> dict[str, str]:
    """A page for `sf` itself, split in two, and one for each of its modules."""
    own = [name for name in sf.__all__ if name not in rooms()]
    kinds = {
        "functions": [name for name in own if not isinstance(getattr(sf, name), type)],
        "classes": [n for n in own if isinstance(getattr(sf, n), type) and not issubclass(getattr(sf, n), Exception)],
        "errors": [n for n in own if isinstance(getattr(sf, n), type) and issubclass(getattr(sf, n), Exception)],
    }
    pages = {
        f"api/{kind}.md": f"# sf: {kind}\n\n" + "".join(f"::: sparsefmt.{name}\n\n" for name in names)
        for kind, names in kinds.items()
    }
    for room in rooms():
        module = importlib.import_module(f"sparsefmt.{room}")
        summary = (module.__doc__ or "").strip()
        parts = [f"# sf.{room}\n\n{summary}\n"]
        for name in public(module):
            found = getattr(module, name)
            if inspect.ismodule(found):
                parts.append(f"## {room}.{name}\n\n{(found.__doc__ or '').strip()}\n")
            elif name in kinds["functions"] + kinds["classes"] and found is getattr(sf, name):
                page = "classes" if name in kinds["classes"] else "functions"
                parts.append(f"## {name}\n\nThe same as [sf.{name}]({page}.md#sparsefmt.{name}).\n")
            elif type(found).__module__.startswith("sparsefmt.") and callable(found):
                text = inspect.cleandoc(type(found).__doc__ or "")
                parts.append(f"## {name}\n\n```text\n{name}{inspect.signature(found)}\n\n{text}\n```\n")
            else:
                parts.append(f"::: sparsefmt.{room}.{name}\n")
        pages[f"api/{room}.md"] = "\n".join(parts)
    return pages


def commands() -> str:
    """What `--help` says of every command."""
    import click

    from sparsefmt.cli.app import COMMANDS, app

    parts = ["## Commands\n"]
    for name in COMMANDS:
        command = app.get_command(click.Context(app), name)
        assert command is not None
        context = click.Context(command, info_name=f"sparsefmt {name}", max_content_width=100, terminal_width=100)
        parts.append(f"### {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def from_root(name: str) -> str:
    """A page of the root, its links turned to those of the site."""
    text = (ROOT / name).read_text()
    text = re.sub(r"\]\(docs/([^)]+)\)", r"](\1)", text)
    for other, page in ROOT_PAGES.items():
        text = text.replace(f"]({other})", f"]({page})")
    return text


def fenced(text: str) -> str:
    """Examples that stand bare in a page get a fence, or they would be quotes."""
    out: list[str] = []
    inside = bare = False
    for line in text.split("\n"):
        if line.startswith("```"):
            inside = not inside
        if not inside and not bare and line.startswith(">>> "):
            bare = True
            out.append("```python")
        elif bare and not line.strip():
            bare = False
            out.append("```")
        out.append(line)
    return "\n".join([*out, "```"] if bare else out)


def on_files(files: Files, config: Any) -> Files:  # noqa: ANN401
    """Adds the pages that are made."""
    made = api_pages() | {"performance.md": docs_performance.page()}
    made |= {page: from_root(name) for name, page in ROOT_PAGES.items()}
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401
    """Completes two pages, and fences bare examples."""
    if page.file.src_uri == "troubleshooting.md":
        markdown = markdown.replace("<!-- messages -->", docs_messages.page())
    if page.file.src_uri == "command_line.md":
        markdown += "\n" + commands()
    return fenced(markdown)
