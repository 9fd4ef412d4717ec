"""What several tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every machine, and none fails because another process keeps this one waiting.
settings.register_profile("ours", deadline=None, derandomize=True)
settings.load_profile("ours")

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data, which lies beside the checkout; tests skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real data is not beside this checkout")
    return SHARED
