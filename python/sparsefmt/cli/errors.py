"""Measured errors as cells of a table and as JSON."""

import math

from sparsefmt.checkpoint.verification import MEASURED, Row

ERRORS = ["rel. error", "worst group", "max abs error", "SNR dB"]
"""Headings of the columns."""


def error_cells(found: Row) -> list[str]:
    """The errors of the columns `ERRORS`; the finding where nothing can be measured."""
    if found.status not in MEASURED:
        return [found.status, "", "", ""]
    return [f"{found.relative:.3g}", f"{found.worst:.3g}", f"{found.max_abs:.3g}", f"{found.snr:.2f}"]


def error_json(found: Row) -> dict[str, object]:
    """The same as JSON; what is not finite becomes text."""
    if found.status not in MEASURED:
        return {"status": found.status}
    numbers = {
        "relative_frobenius_error": found.relative,
        "worst_group_error": found.worst,
        "max_abs_error": found.max_abs,
        "snr_db": found.snr,
    }
    return {"status": found.status, **{k: v if math.isfinite(v) else str(v) for k, v in numbers.items()}}
