"""Every .cu file compiles for every kind of GPU, with NVRTC from PyPI; no GPU is needed."""

from importlib import resources

import pytest

from sparsefmt.cuda import launch, module, nvrtc

ARCHS = ("sm_80", "sm_89", "sm_90a", "sm_100")
NM24, NM816 = {"N": 2, "M": 4, "BITS": 3}, {"N": 8, "M": 16, "BITS": 14}
VARIANTS = {
    "nm24": [{}],
    "nm": [
        {**NM24, "ITEM": 2, "ORDER": 2, "INFINITY_BITS": 0x7C00},
        {**NM816, "ITEM": 8, "WIDE_INDEX": 1},
        {"N": 3, "M": 3, "BITS": 0, "ITEM": 1, "ORDER": 1},
        {"N": 16, "M": 32, "BITS": 30, "ITEM": 4},
    ],
    "rows": [{"ITEM": 1}, {"ITEM": 2, "WIDE_INDEX": 1}, {"ITEM": 4}, {"ITEM": 8}, {"ITEM": 16}],
    "codec": [
        *({"GROUPS": 1, **NM24, "DTYPE": i, "SCALE16": 1} for i in launch.DTYPE_IDS.values()),
        {"WIDE_INDEX": 1, "DTYPE": launch.DTYPE_IDS["float64"], "SCALE16": 1},
        {"COORDS": 1, "DTYPE": launch.DTYPE_IDS["float8_e4m3fn"]},
        {"GROUPS": 1, "N": 1, "M": 1, "BITS": 0},
    ],
    "stream": [{}, {"ITEM": 2}, {"ITEM": 16, "CODE16": 1}, {"KEY": "float"}, {"KEY": "double"}, {"NARROW": "u16"}],
    "values": [{"DTYPE": i} for i in launch.DTYPE_IDS.values()],
}
CASES = [(name, i) for name, variants in VARIANTS.items() for i in range(len(variants))]


def test_all_sources_are_here() -> None:
    """A new file needs its variants above."""
    files = {p.name.removesuffix(".cu") for p in resources.files("sparsefmt.cuda").joinpath("src").iterdir()}
    assert {f for f in files if not f.endswith(".cuh")} == set(VARIANTS)


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", VARIANTS)
def test_compiles(name: str, arch: str) -> None:
    if (reason := nvrtc.available()) is not None:
        pytest.skip(reason)
    text = module.source(f"src/{name}.cu")
    for variant in VARIANTS[name] if arch == "sm_90a" else VARIANTS[name][:1]:
        made = nvrtc.compile_source(text, arch, (*module.EXACT, *module.definitions(variant)))
        assert made.cubin[:4] == b"\x7fELF"
        assert "warning" not in made.log
        functions = [line for line in made.ptx.decode().splitlines() if ".entry" in line]
        assert functions, (name, variant)


def test_an_error_comes_with_the_log() -> None:
    if (reason := nvrtc.available()) is not None:
        pytest.skip(reason)
    with pytest.raises(nvrtc.BackendError, match=r"compiling for sm_80 with NVRTC.*\n.*undefined"):
        nvrtc.compile_source("__global__ void f() { wrong(); }", "sm_80")


def test_the_compiler_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEFMT_NVRTC", "/nowhere/libnvrtc.so")
    nvrtc.loaded.cache_clear()
    reason = nvrtc.available()
    nvrtc.loaded.cache_clear()
    assert reason is not None
    assert "NVRTC was not found" in reason
    assert "check SPARSEFMT_NVRTC" in reason
