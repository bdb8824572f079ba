"""Hypothesis profiles, the command line, and settings of the package put back after every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import sparsefmt as sf
from commandline import Cli

COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
}
settings.register_profile("ci", max_examples=40, derandomize=True, database=None, **COMMON)
settings.register_profile("deep", max_examples=1000, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def cli() -> Cli:
    return Cli()


@pytest.fixture(autouse=True)
def _defaults() -> Iterator[None]:
    yield
    sf.set_num_threads(None)
    sf.set_max_bytes(None)


def pytest_runtest_logstart(nodeid: str) -> None:
    """Notes the test that runs, for the summary of a run that is killed."""
    if path := os.environ.get("SPARSEFMT_TEST_NOTE"):
        Path(path).write_text(nodeid)
