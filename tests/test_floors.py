"""A kernel has one name on every floor: its definition, its binding, and the module of the core that does the work."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEFINITIONS = ROOT / "python" / "sparsefmt" / "kernels"
BINDINGS = ROOT / "rust" / "py" / "src"
CORE = ROOT / "rust" / "core" / "src"
IN_THE_BINDING = {"header"}  # reads text by crates that the core does without


def defined() -> dict[str, str]:
    """The file of each definition."""
    found = {}
    for file in sorted(DEFINITIONS.glob("*.py")):
        for name in re.findall(r"^@kernel\ndef (\w+)", file.read_text(), re.MULTILINE):
            assert name not in found, f"{name} stands twice"
            found[name] = file.stem
    return found


def registered() -> dict[str, str]:
    """The file of each function that the extension registers."""
    text = (BINDINGS / "lib.rs").read_text()
    exports = re.findall(r"#\[pymodule_export\]\s*use super::(\w+)::(\{[^}]*\}|\w+);", text)
    return {name: file for file, names in exports for name in re.findall(r"\w+", names)}


def compiled() -> dict[str, str]:
    """The file of each definition that the extension replaces."""
    return {name: file for name, file in defined().items() if name in registered()}


def test_bindings_stand_in_files_of_the_same_name() -> None:
    kernels, bindings = compiled(), registered()
    assert len(kernels) > 50
    assert {name: bindings[name] for name in kernels} == kernels


def test_every_binding_is_registered() -> None:
    functions = re.compile(r"#\[pyfunction[^\n]*\n(?:\s*#\[[^\n]*\n)*\s*pub(?:\([^)]*\))? fn (\w+)")
    written = {name: file.stem for file in BINDINGS.glob("*.rs") for name in functions.findall(file.read_text())}
    assert written == registered()


def test_the_extension_registers_nothing_else() -> None:
    """But for the settings, the plan of a product and the end of the interpreter, which have no meaning in NumPy."""
    assert {file for name, file in registered().items() if name not in defined()} == {"exit", "plan", "settings"}


def test_the_core_has_a_module_for_each() -> None:
    wanted = set(compiled().values()) - IN_THE_BINDING
    assert {f for f in wanted if not ((CORE / f"{f}.rs").exists() or (CORE / f / "mod.rs").exists())} == set()
