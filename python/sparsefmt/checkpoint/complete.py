"""What makes a folder of shards complete: its index, the files that travel with weights, settings that still hold."""

import shutil
from pathlib import Path

from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.folder import drop_settings, write_index
from sparsefmt.checkpoint.index import INDEX
from sparsefmt.checkpoint.jobs import Job, Manifest
from sparsefmt.checkpoint.joined import only_config_is_quantised
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.readers.registry import READERS
from sparsefmt.checkpoint.remote import remote
from sparsefmt.checkpoint.steps import Unpack
from sparsefmt.checkpoint.upload import side_files


def finish_folder(model: Checkpoint, jobs: list[Job], manifests: list[Manifest], made: Path) -> tuple[str, ...]:
    """Writes the index, and copies the side files; returns what was left out."""
    layout = model.layout
    if len(jobs) > 1 or (layout is not None and layout.index is not None):
        weight_map: dict[str, str] = {}
        for job, manifest in zip(jobs, manifests, strict=True):
            for key in manifest.arrays:
                if key in weight_map:
                    msg = f"{job.out.name}: the step gives two tensors the name {key!r}, the other in {weight_map[key]}"
                    raise CheckpointError(msg)
                weight_map[key] = job.out.name
        if jobs and not weight_map:
            msg = "the step leaves no tensor, and a folder without any cannot be opened"
            raise CheckpointError(msg)
        total = sum(t.nbytes for m in manifests for t in m.tensors)
        write_index(made, weight_map, total, layout.index.name if layout is not None and layout.index else INDEX)
    if layout is None:
        return ()
    left = side_files(model.path, made)
    dense = all(isinstance(job.step, Unpack) for job in jobs) and only_config_is_quantised(model)
    if dense or model.reader not in READERS:  # the weights are no longer in the form that the settings describe
        left = (*left, *drop_settings(made))
    if remote(model.path) is None:
        shutil.copymode(model.path, made)
    return left
