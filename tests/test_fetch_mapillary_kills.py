"""Killed at random moments and started again, a run ends with the very pictures of an undisturbed one."""

import pytest

from tests.mapillary_kills import faults_of, run_with_kills
from tests.mapillary_stub import Stub, World


@pytest.mark.slow
def test_kills_and_faults_change_neither_the_result_nor_leave_a_trace(tmp_path):
    world = World(0, 6000, gone_share=0.04, bbox=(-35.0, 10.0, 5.0, 45.0))
    more = {"bbox": (-35.0, 10.0, 5.0, 45.0), "max-per-sequence": 5}
    with Stub(world) as stub:
        calm = run_with_kills(stub, tmp_path / "calm", 0, 8, **more)
    with Stub(world, fault_share=0.05) as stub:
        killed = run_with_kills(stub, tmp_path / "killed", 4, 8, between_s=(1.5, 4.0), **more)
        assert faults_of(stub, tmp_path / "killed") == []
        assert stub.max_in_flight <= 16
    assert killed.kills == 4
    assert len(calm.ids) > 300
    assert killed.ids == calm.ids
