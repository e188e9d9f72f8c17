"""Where Python looks for garbage."""

import gc

import pytest

from pgseg_core.memory import kept_for_good


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()
    gc.enable()


def test_what_is_made_inside_is_not_looked_through_again():
    with kept_for_good():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert not {id(each) for each in kept} & {id(each) for each in gc.get_objects()}


def test_whoever_collects_by_hand_goes_on_so():
    gc.disable()
    with kept_for_good():
        pass
    assert not gc.isenabled()
