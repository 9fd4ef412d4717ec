"""Which of several cooperating processes this one is; torchrun says so in the environment."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """A process among equals.

    Attributes:
        rank: its number, from 0; the first alone writes and reports.
        size: how many there are.
        local_rank: its number on its own machine, which is that of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def from_env(cls) -> "World":
        """Return what torchrun put into RANK, WORLD_SIZE and LOCAL_RANK; one process alone without it."""
        rank, size, local = (int(os.environ.get(name, default)) for name, default in _VARIABLES)
        return cls(rank, size, local)

    @property
    def first(self) -> bool:
        """Say whether this is the process that writes and reports."""
        return self.rank == 0


_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
