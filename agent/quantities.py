"""What options are made of: names, counts, sizes and durations within their bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt, StrictStr

from spool.names import TASK_ID_RULE, is_task_id


def _check_name(text: str) -> str:
    if not is_task_id(text):
        raise ValueError(f"{text[:120]!r} is not a name: use {TASK_ID_RULE}")
    return text


Name = Annotated[StrictStr, AfterValidator(_check_name)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000_000)]
Slots = Annotated[StrictInt, Field(ge=1, le=10_000)]
Jobs = Annotated[StrictInt, Field(ge=1, le=256)]
Bytes = Annotated[StrictInt, Field(ge=0, le=1 << 60)]
SomeBytes = Annotated[StrictInt, Field(ge=1024, le=1 << 60)]
Duration = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=366 * 86400)]
Days = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=36_500)]
