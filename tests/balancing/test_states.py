"""One node's health: probes, evidence, ejections, the slow start."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancing import states
from balancing.states import NodeState, Rules

RULES = Rules()
UP = states.probed(NodeState(), passed=True, now=0.0, rules=RULES)


def after_probes(state, results, rules=RULES, now=0.0):
    for number, passed in enumerate(results):
        state = states.probed(state, passed=passed == "+", now=now + number, rules=rules)
    return state


def until_ejected(state, now, rules=RULES):
    """Fail transfers until the node is ejected; returns the state and how many it took."""
    for number in range(1, 1000):
        state = states.failed(state, now, rules)
        if states.is_ejected(state, now):
            return state, number
    raise AssertionError("never ejected")


@pytest.mark.parametrize(
    ("results", "up"),
    [
        ("", False),
        ("-", False),
        ("+", True),  # a new node needs one pass
        ("--+", True),
        ("+--", True),  # fall is 3
        ("+---", False),
        ("+--+--", True),  # a pass ends the row
        ("+---+", False),  # rise is 2 for a node that was up before
        ("+---++", True),
        ("+---+-++", True),
        ("+---+-+", False),
    ],
)
def test_rise_and_fall(results, up):
    """A node changes sides only after enough results in a row against its state."""
    assert after_probes(NodeState(), results).up is up


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_state_changes_only_after_whole_rows(results, rise, fall):
    """Whatever the results, every change of state follows `rise` or `fall` equal results in a row."""
    rules, state = Rules(rise=rise, fall=fall), NodeState()
    for number, passed in enumerate(results):
        before, state = state, states.probed(state, passed=passed, now=float(number), rules=rules)
        if before.up != state.up:
            needed = fall if before.up else (rise if before.ever_up else 1)
            assert results[max(0, number + 1 - needed) : number + 1] == [state.up] * needed


@pytest.mark.parametrize(
    ("state", "passed", "pause"),
    [
        (UP, True, 10.0),
        (UP, False, 2.0),  # suspicious: fell once
        (NodeState(), False, 2.0),  # never up: it is about to start
        (after_probes(UP, "--"), False, 10.0),  # down now: no hurry
        (after_probes(UP, "---"), False, 10.0),
        (after_probes(UP, "---"), True, 2.0),  # rising
        (replace(UP, score=4.0, scored_at=5.0), True, 2.0),  # transfers fail
    ],
)
def test_interval_is_fast_while_suspicious(state, passed, pause):
    """Results against the state, or failing transfers, bring the next probe forward."""
    assert states.probed(state, passed=passed, now=5.0, rules=RULES).next_probe == 5.0 + pause


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(-50, 50))
def test_jitter_is_bounded(jitter):
    """The random number moves the next probe by at most the set share of the interval."""
    after = states.probed(UP, passed=True, now=100.0, rules=RULES, jitter=jitter)
    assert 108.0 <= after.next_probe <= 112.0


def test_failing_transfer_brings_the_next_probe_forward_and_never_puts_it_off():
    """Evidence asks for a probe within the fast interval; one that is due sooner stays."""
    assert states.failed(replace(UP, next_probe=50.0), 10.0, RULES).next_probe == 12.0
    assert states.failed(replace(UP, next_probe=11.0), 10.0, RULES).next_probe == 11.0


def test_passed_probe_does_not_end_an_ejection():
    """A node that answers probes and fails transfers stays away for its whole time."""
    state, _ = until_ejected(UP, 0.0)
    state = after_probes(state, "++++++", now=1.0)
    assert states.is_ejected(state, 29.9)
    assert not states.is_healthy(state, 29.9)
    assert states.is_healthy(state, 30.0)


def test_evidence_weighs():
    """Five broken transfers or ten repeated requests at one moment eject."""
    assert until_ejected(UP, 0.0)[1] == 5
    state = UP
    for _ in range(9):
        state = states.asked_again(state, 0.0, RULES)
    assert not states.is_ejected(state, 0.0)
    assert states.is_ejected(states.asked_again(state, 0.0, RULES), 0.0)


def test_evidence_fades():
    """Faults that are far apart never add up."""
    state = UP
    for number in range(200):
        state = states.failed(state, number * 13.0, RULES)
    assert not state.ejections


@pytest.mark.parametrize(("good", "ejected"), [(0, True), (1, True), (9, True), (10, False), (20, False)])
def test_share_of_failures_decides_on_a_busy_node(good, ejected):
    """One failure among few successes ejects in the end, one of eleven or fewer never does."""
    state = UP
    for _ in range(200):
        state = states.failed(state, 0.0, RULES)
        for _ in range(good):
            state = states.succeeded(state, 0.0, RULES)
    assert bool(state.ejections) is ejected


def test_evidence_during_an_ejection_is_old_news():
    """Transfers that began before an ejection and break in it change nothing."""
    state, _ = until_ejected(UP, 0.0)
    assert states.failed(state, 10.0, RULES) is state
    assert states.asked_again(state, 10.0, RULES) is state


def test_forbidden_ejection_happens_when_allowed():
    """While the fleet forbids an ejection the evidence stands at the line; the next fault that is allowed ejects."""
    state = UP
    for _ in range(100):
        state = states.failed(state, 0.0, RULES, may_eject=False)
    assert state.score == RULES.evidence
    assert not state.ejections
    assert states.failed(state, 1.0, RULES).ejections == 1


def test_flapping_node_is_ejected_longer_each_time_up_to_the_cap():
    """30 s x n, at most 300 s, when every return ends in new failures."""
    state, now, lengths = UP, 0.0, []
    for _ in range(14):
        state, _ = until_ejected(state, now)
        lengths.append(state.ejected_until - now)
        now = state.ejected_until
    assert lengths == [30.0 * n for n in range(1, 11)] + [300.0] * 4


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0, 299), min_size=1, max_size=40))
def test_ejections_grow_to_the_cap_however_a_node_flaps(pauses):
    """Without a quiet time as long as the forgiveness no ejection is shorter than the one before."""
    state, now, before = UP, 0.0, 0.0
    for pause in pauses:
        state = states.ejected(state, now, RULES)
        length = round(state.ejected_until - now, 6)
        assert length == min(300.0, before + 30.0)
        before, now = length, state.ejected_until + pause


@pytest.mark.parametrize(("quiet", "length"), [(0, 300), (299, 300), (300, 300), (600, 300), (900, 270), (1e9, 30)])
def test_quiet_time_forgives(quiet, length):
    """Each 300 s without an ejection take one off, also after years of faults."""
    state = replace(UP, ejections=100, ejected_until=0.0)
    assert states.ejected(state, float(quiet), RULES).ejected_until - quiet == length


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.floats(0, 200), min_size=2, max_size=30),
    st.floats(1, 8),
    st.floats(0, 1),
    st.floats(0, 120),
    st.booleans(),
)
def test_share_rises_monotonically_after_return(times, aggression, least, window, by_probe):
    """From its return on, a node's share never falls, begins at the least share and ends at 1."""
    rules = Rules(aggression=aggression, least_share=least, slow_start=window)
    state = after_probes(UP, "---++", rules) if by_probe else states.ejected(UP, -26.0, rules)
    shares = [states.share(state, 4.0 + time, rules) for time in sorted(times)]
    assert shares == sorted(shares)
    assert all(least <= share <= 1 for share in shares)
    assert states.share(state, 5.0 + window, rules) == 1.0


def test_slow_start_follows_the_formula():
    """max(10 %, (t / window) ^ (1 / aggression)), and nothing before the return."""
    state = states.ejected(UP, 0.0, RULES)
    assert [states.share(state, 30.0 + t, RULES) for t in (-1, 0, 3, 15, 30, 60)] == [0, 0.1, 0.1, 0.25, 0.5, 1.0]
    assert states.share(state, 45.0, Rules(aggression=2)) == 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"rise": 0},
        {"fall": 0},
        {"interval": 0},
        {"fast_interval": -1},
        {"jitter": 1.1},
        {"panic": -0.1},
        {"most_ejected": 2},
        {"least_share": float("nan")},
        {"aggression": 0},
        {"most_ejection": 1},
        {"slow_start": -1},
        {"least_healthy": -1},
    ],
)
def test_wrong_rules_are_refused(wrong):
    """Numbers that make no sense are refused where they are written, by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rules(**wrong)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from("+-fas"), st.floats(0, 100)), max_size=80))
def test_any_history_keeps_the_state_sound(events):
    """Whatever happens, even with a clock that steps back, every number stays within its bounds."""
    state = NodeState()
    for kind, now in events:
        if kind in "+-":
            state = states.probed(state, passed=kind == "+", now=now, rules=RULES, jitter=0.5)
        else:
            act = {"f": states.failed, "a": states.asked_again, "s": states.succeeded}[kind]
            state = act(state, now, RULES)
        assert 0 <= state.score <= RULES.evidence
        assert 0 <= states.share(state, now, RULES) <= 1
        assert state.ejected_until is None or state.ejected_until <= 100 + RULES.most_ejection
