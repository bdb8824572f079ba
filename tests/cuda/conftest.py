"""Runs every test that takes `cupy` twice: on the CPU with the emulated GPU, and on a GPU where there is one."""

import importlib
import shutil
from collections.abc import Iterator
from typing import Any

import fake_arrays
import fake_cupy
import pytest
from fake_lt import FakeLt

import sparsefmt as sf
from sparsefmt.cuda import device, engines, launch, libraries, lt, machine, module, transfer
from sparsefmt.cuda.own import launches, plan

CACHES = (device._imported, module._module, module._function, transfer._staging, lt.loaded)


def forget_devices() -> None:
    """Drops what the package knows of CuPy and devices."""
    for cache in CACHES:
        cache.cache_clear()
    own = (plan._gpus, launches._kernels, launches._counters)
    for known in (launch._processors, machine._machines, engines._made, lt.best, *own):
        known.clear()
    lt._local.__dict__.clear()


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The emulated GPU, whatever this machine has."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++, which compiles the kernels for the CPU")
    forget_devices()
    fake = fake_cupy.install(monkeypatch)
    fake_arrays.Memory.limit = None
    fake_cupy.Device.current, fake_cupy.Device.capability = 0, "90"
    fake_cupy.Launches.log.clear()
    yield fake
    fake_arrays.Memory.limit = None
    forget_devices()


def no_device() -> str | None:
    """Why there is no GPU to test on."""
    forget_devices()
    return None if sf.cuda.available() else "; ".join(sf.cuda.info()["missing"].values())


@pytest.fixture(params=["emulated", pytest.param("device", marks=pytest.mark.gpu)])
def cupy(request: pytest.FixtureRequest) -> Any:
    """CuPy, emulated or real."""
    if request.param == "emulated":
        return request.getfixturevalue("emulated")
    if (reason := no_device()) is not None:
        pytest.skip(reason)
    return importlib.import_module("cupy")


@pytest.fixture
def library(emulated: Any, monkeypatch: pytest.MonkeyPatch) -> FakeLt:
    """The emulated GPU with a cuSPARSELt that holds the binding to its rules; our own kernels do not compete."""
    others = {name: factory for name, factory in engines.FACTORIES.items() if name != "own"}
    monkeypatch.setattr(engines, "FACTORIES", others)
    fake = FakeLt()
    loaded = lt.Library(libraries.Found(fake, "fake"))
    monkeypatch.setattr(lt, "loaded", lambda: loaded)
    return fake


@pytest.fixture
def gpu() -> Any:
    """CuPy on a real GPU."""
    if (reason := no_device()) is not None:
        pytest.skip(reason)
    return importlib.import_module("cupy")
