"""Every error message of the source, with its type, for the page on troubleshooting."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "sparsefmt"

CAUSES = {
    "api": ("arguments of the functions of `sf` contradict each other", "see the function in the API reference"),
    "base": ("a number, dtype or array is not what the name in the message asks for", "pass what the message allows"),
    "checkpoint": ("an index, shards, a folder or a step do not fit", "`sparsefmt doctor MODEL` names what is wrong"),
    "cli": ("the command line cannot be understood, or a file is in the way", "`sparsefmt COMMAND --help`"),
    "codecs": ("values, scales or an option do not fit the codec", "another codec, `:f32` scales or `:asym`"),
    "cuda": (
        "CuPy, a library or a device is missing, or cannot do this",
        '`sf.cuda.info()`; `t.to("cpu")` works always',
    ),
    "delta": (
        "a delta and what it is applied to do not belong together",
        "apply in order, on its own base",
    ),
    "dynamic": ("a schedule, mask or controller gets what it was not made for", "build it anew for these shapes"),
    "encoding": ("a format text is unknown, or no conversion leads there", "`sf.formats()` lists the texts"),
    "interop": ("a file or array of another tool has no one reading", "repair it with the tool that wrote it"),
    "io": ("a file is damaged, cut, or not what it says", "write or download it again; `sparsefmt doctor FILE`"),
    "kernels": ("lengths or contents of arrays are not what a kernel was promised", "rebuild the tensor: `sf.encode`"),
    "merge": (
        "models, a recipe or parameters do not fit each other",
        "`sparsefmt merge --dry-run` shows more",
    ),
    "models": (
        "a model is no encoder of BERT's kind, or lacks a file",
        "`sf.prune.run` with a function",
    ),
    "plan": ("a table, budget or plan does not fit the layers", "measure again; a larger budget"),
    "product": ("operands of a product do not fit", "check shapes and dtypes; `sf.explain_matmul` tells the way"),
    "prune": ("a pattern, statistics or weights do not fit each other", "more tokens, or another pattern"),
    "report": ("what is to be shown is no model", "pass a path, an open checkpoint or a dict"),
    "structures": ("indices, offsets or codes of a structure are wrong, or values do not fit it", "prune first"),
    "tensor": ("a packed tensor is used as an array, or with one that does not fit", "`t.to_dense()`, `t.to_scipy()`"),
    "rust": ("what arrays hold was found wrong while they were read", "rebuild the tensor from its source"),
}
"""Why each room of the package raises, and the way out where the message names none."""


ENDS = ("Error", "Exception", "BadParameter", "warn", "type(e)")
"""How names of what carries a message end."""


class Message(NamedTuple):
    """A message as it stands in the source; what is filled in stands in braces."""

    room: str
    error: str
    text: str


def template(node: ast.expr) -> str | None:
    """The text of a string expression; None if it is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(v.value) if isinstance(v, ast.Constant) else "{" + name_of(getattr(v, "value", v)) + "}"
            for v in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left), template(node.right)
        return None if left is None and right is None else (left or "{...}") + (right or "{...}")
    if isinstance(node, ast.IfExp):
        return " / ".join(filter(None, (template(node.body), template(node.orelse)))) or None
    return None


def name_of(node: ast.AST) -> str:
    """A short word for what is filled in."""
    words = re.findall(r"[a-z_]{2,}", ast.unparse(node))
    return words[-1].strip("_") if words else "..."


class Source(NamedTuple):
    """What texts of a module may stand for: its constants, and what functions that make texts return."""

    constants: dict[str, list[str]]
    returned: dict[str, list[str]]


def texts(node: ast.expr, waiting: dict[str, list[str]], source: Source) -> list[str]:
    """What an argument of an error may say."""
    if isinstance(node, ast.Name):
        return waiting.pop(node.id, None) or source.constants.get(node.id, [])
    if isinstance(node, ast.Call):
        return source.returned.get(ast.unparse(node.func).rpartition(".")[2], [])
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Name | ast.BinOp | ast.Call):
        rest = template(node.right) or "{...}"
        return [first + rest for first in texts(node.left, waiting, source) or ["{...}"]]
    found = template(node)
    return [] if found is None else [found]


def of_function(room: str, function: ast.AST, source: Source) -> Iterator[Message]:
    """The messages of the errors that one function raises or makes, and of its warnings."""
    waiting: dict[str, list[str]] = {}  # texts by the variable that holds them, until it is used
    raised = {id(n.exc) for n in ast.walk(function) if isinstance(n, ast.Raise)}
    steps = [n for n in ast.walk(function) if isinstance(n, ast.Assign | ast.AugAssign | ast.Call)]
    for node in sorted(steps, key=lambda n: (n.lineno, n.col_offset)):
        if isinstance(node, ast.Assign):
            if isinstance(node.targets[0], ast.Name) and (text := template(node.value)) is not None:
                waiting.setdefault(node.targets[0].id, []).append(text)
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name) and (text := template(node.value)) is not None:
                held = waiting.get(node.target.id, [])
                held += [first + text for first in held]
        else:
            error = ast.unparse(node.func).rpartition(".")[2]
            if id(node) not in raised and not error.endswith(ENDS):
                continue
            error = {"warn": "a warning", "type(e)": "see text"}.get(error, error)
            error = error if error[0].isupper() or " " in error else "see text"  # a function that makes the error
            found = [text for given in node.args for text in texts(given, waiting, source)]
            yield from (Message(room, error, text) for text in found if " " in text)


def returns_of(tree: ast.AST) -> dict[str, list[str]]:
    """What functions that return texts return, by name."""
    found: dict[str, list[str]] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and getattr(function.returns, "id", "") == "str":
            waiting: dict[str, list[str]] = {}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    if (text := template(node.value)) is not None:
                        waiting.setdefault(node.targets[0].id, []).append(text)
                elif isinstance(node, ast.Return) and node.value is not None:
                    found.setdefault(function.name, []).extend(texts(node.value, waiting, Source({}, {})))
    return found


def constants_of(tree: ast.Module) -> dict[str, list[str]]:
    """The texts of a module, by name."""
    found: dict[str, list[str]] = {}
    for node in tree.body:
        text = template(node.value) if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and text is not None:
            found[node.targets[0].id] = [text]
    return found


def messages() -> list[Message]:
    """All messages of the package and of the Rust crates, by room."""
    found: dict[Message, None] = {}
    trees = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    everywhere: dict[str, list[str]] = {}
    for tree in trees.values():
        for name, said in returns_of(tree).items():
            everywhere.setdefault(name, []).extend(said)
    for path, tree in trees.items():
        room = path.relative_to(PACKAGE).parts[0]
        source = Source(constants_of(tree), everywhere | returns_of(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                found |= dict.fromkeys(of_function(room, node, source))
    for path in sorted((ROOT / "rust" / "core" / "src").rglob("*.rs")):
        for text in re.findall(r'#\[error\("(.*?)"\)\]', path.read_text()):
            found[Message("rust", "FormatError", text)] = None
    for path in sorted((ROOT / "rust" / "py" / "src").rglob("*.rs")):
        for kind, text in re.findall(r'Py(\w+Error)::new_err\(\s*(?:format!\(\s*)?"(.*?)"', path.read_text()):
            found[Message("rust", kind, text)] = None
    return sorted(m for m in found if m.room in CAUSES)


def cell(text: str) -> str:
    """A text in a table of Markdown, as code."""
    return "`" + " ".join(text.split()).replace("|", "\\|").replace("`", "'") + "`"


def page() -> str:
    """The generated part of the page: a section for each room."""
    out, all_of_them = [], messages()
    for room, (cause, way) in CAUSES.items():
        mine = [m for m in all_of_them if m.room == room]
        if not mine:
            continue
        out += [f"### {room}", "", f"Cause: {cause}. Way out, unless the message names a nearer one: {way}.", ""]
        out += ["| message | error | way out |", "|---|---|---|"]
        for m in mine:
            said, semicolon, near = m.text.rpartition("; ")
            out.append(f"| {cell(said if semicolon else m.text)} | {m.error} | {cell(near) if semicolon else way} |")
        out.append("")
    return "\n".join(out)
