"""The modules of each crate import one way: no circle over `use` paths."""

import re
import tomllib
from pathlib import Path

import pytest

RUST = Path(__file__).parent.parent / "rust"
CRATES = sorted(p.parent.name for p in RUST.glob("*/Cargo.toml"))
Module = tuple[str, ...]
Modules = dict[Module, str]
Graph = dict[Module, set[Module]]


def sources(crate: str) -> Modules:
    """The text of each module by its path, without comments and tests."""
    src = RUST / crate / "src"
    found: Modules = {}
    for file in sorted(src.rglob("*.rs")):
        parts = file.relative_to(src).with_suffix("").parts
        path = parts[:-1] if parts[-1] in ("lib", "mod") else parts
        text = re.sub(r"//.*", "", file.read_text())
        text = re.split(r"^#\[cfg\((?:all\()?test\b[^\n]*\]\s*mod \w+ \{", text, flags=re.MULTILINE)[0]
        if not re.search(rf"cfg\((?:all\()?test\b[^\n]*\]\s*mod {parts[-1]};", parent_text(file)):
            found[path] = text
    return found


def parent_text(file: Path) -> str:
    """The text of the module that declares this one."""
    folder = file.parent.parent if file.name == "mod.rs" else file.parent
    owners = [p for p in (folder / "mod.rs", folder / "lib.rs", folder.with_suffix(".rs")) if p.exists() and p != file]
    return owners[0].read_text() if owners else ""


def leaves(tree: str) -> list[Module]:
    """`a::{b, c::{self, d as e}}` as the paths a::b, a::c and a::c::d."""
    tree = re.sub(r"\s+as \w+", "", re.sub(r"\s+(?!as )", " ", tree)).strip()
    if (brace := tree.find("{")) < 0:
        return [tuple(part for part in tree.split("::") if part not in ("self", ""))]
    head, inner, depth, start = leaves(tree[:brace])[0], tree[brace + 1 : tree.rindex("}")], 0, 0
    parts = []
    for at, sign in enumerate(inner + ","):
        depth += (sign == "{") - (sign == "}")
        if sign == "," and depth == 0:
            parts.append(inner[start:at].strip())
            start = at + 1
    return [head + leaf for part in parts if part for leaf in leaves(part)]


def absolute(module: Module, path: Module, modules: Modules) -> Module | None:
    """The path from the root of the crate; None for other crates."""
    if path[:1] == ("crate",):
        return path[1:]
    if path[:1] in (("super",), ("self",)):
        while path[:1] in (("super",), ("self",)):
            module, path = (module[:-1] if path[0] == "super" else module), path[1:]
        return module + path
    return module + path if path and module + path[:1] in modules else None


def resolve(path: Module, modules: Modules, exports: dict[Module, Module]) -> Module:
    """The module that defines what stands at the path: names that modules hand on count where they come from."""
    seen = set()
    while path not in seen:
        seen.add(path)
        for end in range(len(path), 0, -1):
            if path[:end] in exports and path[:end] not in modules:
                path = exports[path[:end]] + path[end:]
                break
    for end in range(len(path), -1, -1):
        if path[:end] in modules:
            return path[:end]
    return ()


def edges(crate: str) -> Graph:
    """Which modules each module uses."""
    modules = sources(crate)
    imports: dict[Module, list[Module]] = {module: [] for module in modules}
    exports = {}
    for module, text in modules.items():
        body = re.sub(r"^\s*(pub(?:\([^)]*\))? )?use [^;]+;", "", text, flags=re.MULTILINE)
        for handed_on, tree in re.findall(r"^\s*(pub(?:\([^)]*\))? )?use ([^;]+);", text, re.MULTILINE):
            for leaf in leaves(tree):
                found = absolute(module, leaf, modules)
                if found is None:
                    continue
                if handed_on:
                    exports[(*module, found[-1])] = found
                if not handed_on or re.search(rf"\b{found[-1]}\b", body):
                    imports[module].append(found)
        inline = [tuple(path.split("::")) for path in re.findall(r"(?<![\w:])[a-z]\w*(?:::\w+)+", body)]
        imports[module] += [found for path in inline if (found := absolute(module, path, modules)) is not None]
    return {module: {resolve(p, modules, exports) for p in paths} - {module} for module, paths in imports.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Strongly connected components of more than one module (Kosaraju, without recursion)."""

    def walk(start: Module, step: Graph, seen: set[Module]) -> list[Module]:
        order, stack = [], [(start, iter(sorted(step[start])))]
        seen.add(start)
        while stack:
            to = next((to for to in stack[-1][1] if to not in seen), None)
            if to is None:
                order.append(stack.pop()[0])
            else:
                seen.add(to)
                stack.append((to, iter(sorted(step[to]))))
        return order

    seen: set[Module] = set()
    order = [node for start in sorted(graph) if start not in seen for node in walk(start, graph, seen)]
    back: Graph = {node: set() for node in graph}
    for node, ends in graph.items():
        for end in ends:
            back[end].add(node)
    seen = set()
    groups = [walk(start, back, seen) for start in reversed(order) if start not in seen]
    return [sorted("::".join(node) or "(root)" for node in group) for group in groups if len(group) > 1]


def test_a_circle_would_be_found() -> None:
    a, b, c = ("a",), ("b",), ("c",)
    assert circles({a: {b}, b: {c}, c: {b}}) == [["b", "c"]]
    assert circles({a: {b, c}, b: {c}, c: set()}) == []


def test_paths_of_imports() -> None:
    assert leaves("crate::a::{b, c::{self, d as e}}") == [
        ("crate", "a", "b"),
        ("crate", "a", "c"),
        ("crate", "a", "c", "d"),
    ]


@pytest.mark.parametrize("crate", CRATES)
def test_no_circle_in_a_crate(crate: str) -> None:
    graph = edges(crate)
    assert len(graph) > 1
    assert circles(graph) == []


def test_kernels_import_down() -> None:
    """Tables stand on the folders of instruction sets, these on the types of arguments."""
    floors = {"args": 0, "scalar": 1, "x86_64": 1, "aarch64": 1, "tables": 2}
    graph = edges("kernels")
    up = [
        ("::".join(module), "::".join(end))
        for module, ends in graph.items()
        for end in ends
        if module and end and module[0] in floors and end[0] in floors and floors[end[0]] > floors[module[0]]
    ]
    assert up == []
    assert any(ends for module, ends in graph.items() if module[:1] == ("tables",))


def test_the_lock_of_the_fuzz_targets_is_current() -> None:
    """What the crates need stands in it too, or the targets cannot be built."""
    locked = tomllib.loads((RUST.parent / "fuzz" / "Cargo.lock").read_text())["package"]
    known = {p["name"]: {d.split()[0] for d in p.get("dependencies", [])} for p in locked}
    seen = 0
    for crate in CRATES:
        manifest = tomllib.loads((RUST / crate / "Cargo.toml").read_text())
        if manifest["package"]["name"] in known:
            seen += 1
            assert set(manifest["dependencies"]) <= known[manifest["package"]["name"]], crate
    assert seen >= 2
