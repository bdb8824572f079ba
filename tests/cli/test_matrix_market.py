"""Every malformed or unusual Matrix Market file: one line and exit code 3, or packed and verified."""

from pathlib import Path

import pytest

from commandline import Cli

FILES = sorted((Path(__file__).parent.parent / "data" / "matrices" / "fmm_invalid").glob("*.mtx"))
ACCEPTED = {
    "overflow_index_gt_int8",
    "overflow_value_gt_complex128",
    "overflow_value_gt_float128",
    "overflow_value_gt_float64",
    "overflow_value_gt_int32",
    "permissive_banner_leading_spaces_eye3",
    "permissive_banner_one_percent_eye3",
    "permissive_lines_indented",
    "windows_lineendings_nist_ex1_more_freeformat",
}


def test_the_files_are_all_here() -> None:
    assert len(FILES) == 43
    assert {f.stem for f in FILES} >= ACCEPTED


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_file(cli: Cli, tmp_path: Path, path: Path) -> None:
    out = tmp_path / "o.safetensors"
    if path.stem in ACCEPTED:
        cli.ok("pack", path, out, "--format", "csr")
        cli.ok("verify", path, out)
    else:
        assert path.name in cli.fails(3, "pack", path, out, "--format", "csr")
        assert not out.exists()
