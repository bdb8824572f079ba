"""The build backend of the package: maturin's, with one question asked first.

Without it, maturin downloads a whole Rust toolchain where cargo is missing. PEP 517 loads this file from the tree
(`backend-path`).
"""

import os
import shutil
from typing import Any

MISSING = (
    "building sparsefmt needs Rust 1.89 or newer, and cargo is not on the PATH; "
    "install it (https://rustup.rs), or install a wheel: pip install --only-binary :all: sparsefmt"
)


def _checked() -> None:
    """Ends the build with one sentence where there is no cargo."""
    if shutil.which(os.environ.get("CARGO", "cargo")) is None:
        raise SystemExit(MISSING)


def _maturin() -> Any:  # noqa: ANN401
    """The backend that does the work."""
    import maturin  # not at the top: without cargo nothing of it is needed

    return maturin


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:  # noqa: ANN401
    """Nothing beyond maturin, which must not bring a toolchain of its own."""
    _checked()
    return []


get_requires_for_build_editable = get_requires_for_build_wheel


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:  # noqa: ANN401
    """The same for the archive of sources."""
    _checked()
    return []


def prepare_metadata_for_build_wheel(folder: str, config_settings: Any = None) -> str:  # noqa: ANN401
    """See PEP 517."""
    _checked()
    return str(_maturin().prepare_metadata_for_build_wheel(folder, config_settings))


def prepare_metadata_for_build_editable(folder: str, config_settings: Any = None) -> str:  # noqa: ANN401
    """See PEP 660."""
    _checked()
    return str(_maturin().prepare_metadata_for_build_editable(folder, config_settings))


def build_wheel(folder: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:  # noqa: ANN401
    """See PEP 517."""
    _checked()
    return str(_maturin().build_wheel(folder, config_settings, metadata_directory))


def build_editable(folder: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:  # noqa: ANN401
    """See PEP 660."""
    _checked()
    return str(_maturin().build_editable(folder, config_settings, metadata_directory))


def build_sdist(folder: str, config_settings: Any = None) -> str:  # noqa: ANN401
    """See PEP 517."""
    _checked()
    return str(_maturin().build_sdist(folder, config_settings))
