"""Ranges that numbers of a configuration lie in, and how its classes treat unknown keys."""

from typing import Annotated

from pydantic import ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]

STRICT = ConfigDict(extra="forbid")
"""An unknown key is an error, not a silence."""
