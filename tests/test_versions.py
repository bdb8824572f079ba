"""What `show_versions` says, and what it does not."""

import getpass
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf


def test_versions_and_limits_are_those_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEFMT_NUM_THREADS", "2")
    sf.set_max_bytes(12345)
    sf.set_cache_bytes(54321)
    try:
        found = sf.show_versions("dicts")
    finally:
        sf.set_max_bytes(None)
        sf.set_cache_bytes(None)
    assert found["versions"]["numpy"] == np.__version__
    assert found["versions"]["sparsefmt"] == sf.__version__
    assert found["versions"]["python"] == platform.python_version()
    assert found["limits"]["max_bytes"] == 12345
    assert found["limits"]["cache_bytes"] == 54321
    assert found["cpu"] == sf.cpu_features()
    assert found["environment"]["SPARSEFMT_NUM_THREADS"] == "2"


def test_no_path_host_or_user_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert sf.show_versions() is None
    text = capsys.readouterr().out
    assert text.startswith("versions\n  sparsefmt ")
    for secret in (str(Path.home()), str(Path.cwd()), sys.prefix, platform.node()):
        assert secret not in text
    assert "/" not in text
    assert getpass.getuser() not in text.split()


def test_no_extra_is_imported_to_tell_its_version() -> None:
    code = (
        "import sys, sparsefmt as sf; sf.show_versions(); "
        "assert not {'scipy', 'click', 'onnx', 'torch', 'distributed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_another_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mode = 'json'; want 'stdout' or 'dicts'"):
        sf.show_versions("json")  # type: ignore[call-overload]
