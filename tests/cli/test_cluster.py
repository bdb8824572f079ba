"""Commands and tensors on a Dask cluster."""

from collections.abc import Iterator
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import sparsefmt as sf
from commandline import Cli


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as made:
        yield made


def test_tensors_travel(cluster: LocalCluster, weights: dict[str, np.ndarray]) -> None:
    w = sf.prune.nm(weights["a.weight"])
    with Client(cluster) as client:
        t = client.submit(sf.encode, w, "nm2:4").result()
        assert sf.equal(t, sf.encode(w, "nm2:4"))
        assert client.submit(sf.decode, client.scatter(t)).result().tobytes() == w.tobytes()
        x = da.from_array(w, chunks=(16, 48)).map_blocks(sf.encode, "csr", dtype=w.dtype)
        assert x.compute().to_dense().tobytes() == w.tobytes()


def test_commands_on_a_cluster(cluster: LocalCluster, cli: Cli, folder: Path, tmp_path: Path) -> None:
    at = ("--scheduler", cluster.scheduler_address)
    cli.ok("pack", folder, tmp_path / "here", "--format", "nm2:4", "--prune")
    cli.ok("pack", folder, tmp_path / "there", "--format", "nm2:4", "--prune", *at)
    cli.ok("unpack", tmp_path / "there", tmp_path / "back", *at)
    cli.ok("convert", tmp_path / "there", tmp_path / "csr", "--format", "csr", *at)
    cli.ok("verify", folder, tmp_path / "back", "--max-rel-error", "10", *at)
    for path in (tmp_path / "here").iterdir():
        assert (tmp_path / "there" / path.name).read_bytes() == path.read_bytes()
    cli.ok("verify", tmp_path / "here", tmp_path / "csr", *at)


def test_an_address_that_is_none(cli: Cli, folder: Path, tmp_path: Path) -> None:
    line = cli.fails(2, "pack", folder, tmp_path / "o", "--format", "csr", "--scheduler", "nonsense")
    assert "--scheduler 'nonsense': missing port number" in line
    assert "want tcp://host:8786" in line
