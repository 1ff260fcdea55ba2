"""Health of one mirror node as a value, and what each event makes of it. Pure: no Django, no clock, no chance.

Times are float seconds of any clock that only moves forward; the caller passes `now`. Two judges work side by side:

- active probes move a node between up and down after `fall` failures or `rise` successes in a row;
- evidence from real transfers ejects a node for a growing time, because a node can answer its probe and still fail
  downloads. For the same reason a passed probe never ends an ejection early.

How many nodes may be ejected at once is the fleet's business: see `balancing.fleet`.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Rules:
    """How health is judged. Times are seconds, shares lie between 0 and 1; ValueError says which number is wrong."""

    rise: int = 2
    """Probes passed in a row that bring a node back up; a node that was never up needs one."""
    fall: int = 3
    """Probes failed in a row that take a node down."""
    interval: float = 10.0
    fast_interval: float = 2.0
    """Between probes while the node is suspicious: its last results contradict its state, or transfers fail."""
    jitter: float = 0.2
    """By which share of itself an interval may vary, so that the probes of many hosts do not beat together."""
    evidence: float = 5.0
    """Points of passive evidence that eject a node."""
    error_points: float = 1.0
    """What one failed transfer weighs."""
    repeat_points: float = 0.5
    """What it weighs when a client asks for the same file right after it was sent to the node."""
    success_points: float = 0.1
    """What one finished transfer takes off: a node that fails fewer than 1 of 11 transfers is never ejected."""
    evidence_window: float = 60.0
    """Time in which a full score fades to nothing."""
    base_ejection: float = 30.0
    most_ejection: float = 300.0
    forgiveness: float = 300.0
    """Time without an ejection after which one earlier ejection is forgotten."""
    most_ejected: float = 0.5
    """Largest share of the nodes that may be ejected at once; one always may, where another stays healthy."""
    least_healthy: int = 1
    """Fewer healthy nodes than this, and health is ignored; no ejection goes below it."""
    panic: float = 0.5
    """Share of healthy nodes below which health is ignored; 0 never ignores it."""
    slow_start: float = 60.0
    """Time in which a node that returned grows to its whole weight; 0 returns it at once."""
    aggression: float = 1.0
    """1 grows linearly, more grows quickly at first."""
    least_share: float = 0.1
    """Share of its weight with which a node begins its slow start."""
    drain_limit: float = 300.0
    """How long a draining node may finish its transfers."""

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise ValueError(fault)


def _fault(rules: Rules) -> str | None:
    shares = ("jitter", "most_ejected", "panic", "least_share")
    positive = (
        "interval",
        "fast_interval",
        "evidence",
        "evidence_window",
        "base_ejection",
        "forgiveness",
        "aggression",
    )
    zero = ("error_points", "repeat_points", "success_points", "slow_start", "drain_limit", "least_healthy")
    for name in shares:
        if not 0 <= getattr(rules, name) <= 1:
            return f"{name} must lie between 0 and 1."
    for name in positive:
        if not getattr(rules, name) > 0:
            return f"{name} must be above 0."
    for name in zero:
        if not getattr(rules, name) >= 0:
            return f"{name} must not be negative."
    if min(rules.rise, rules.fall) < 1:
        return "rise and fall must be at least 1."
    if rules.most_ejection < rules.base_ejection:
        return "most_ejection must not be below base_ejection."
    return None


@dataclass(frozen=True, slots=True)
class NodeState:
    """What is known of one node's health. A new node is down until its first probe passes."""

    up: bool = False
    ever_up: bool = False
    streak: int = 0
    """Probe results in a row that contradict `up`."""
    returned_at: float | None = None
    """When probes last brought the node up."""
    next_probe: float = 0.0
    score: float = 0.0
    """Points of passive evidence at `scored_at`; they fade with time."""
    scored_at: float = 0.0
    ejections: int = 0
    """Ejections that are not forgiven; the next one lasts one more base time."""
    ejected_until: float | None = None


def probed(state: NodeState, *, passed: bool, now: float, rules: Rules, jitter: float = 0.0) -> NodeState:
    """The state after one active probe; `jitter` is the caller's random number from -1 to 1."""
    if passed == state.up:
        after = replace(state, streak=0)
    else:
        after = replace(state, streak=state.streak + 1)
        if passed and after.streak >= (rules.rise if state.ever_up else 1):
            after = replace(after, up=True, ever_up=True, streak=0, returned_at=now)
        elif not passed and after.streak >= rules.fall:
            after = replace(after, up=False, streak=0)
    # A node that never was up is probed fast as well: it was added a moment ago and is about to start.
    hurried = is_suspicious(after, now, rules) or not after.ever_up
    pause = rules.fast_interval if hurried else rules.interval
    return replace(after, next_probe=now + pause * (1 + rules.jitter * max(-1.0, min(1.0, jitter))))


def failed(state: NodeState, now: float, rules: Rules, *, may_eject: bool = True) -> NodeState:
    """The state after a transfer from the node broke. Without `may_eject` the evidence is kept and nothing more."""
    return _blame(state, rules.error_points, now, rules, may_eject=may_eject)


def asked_again(state: NodeState, now: float, rules: Rules, *, may_eject: bool = True) -> NodeState:
    """The state after a client asked for a file again right after it was redirected to the node for it."""
    return _blame(state, rules.repeat_points, now, rules, may_eject=may_eject)


def succeeded(state: NodeState, now: float, rules: Rules) -> NodeState:
    """The state after a whole transfer from the node."""
    left = max(0.0, score_at(state, now, rules) - rules.success_points)
    return state if left == state.score == 0 else replace(state, score=left, scored_at=max(now, state.scored_at))


def _blame(state: NodeState, points: float, now: float, rules: Rules, *, may_eject: bool) -> NodeState:
    if is_ejected(state, now):  # transfers that began before the ejection say nothing new
        return state
    score = min(rules.evidence, score_at(state, now, rules) + points)
    soon = min(state.next_probe, now + rules.fast_interval)
    after = replace(state, score=score, scored_at=max(now, state.scored_at), next_probe=soon)
    return ejected(after, now, rules) if may_eject and score >= rules.evidence else after


def ejected(state: NodeState, now: float, rules: Rules) -> NodeState:
    """The state after an ejection at `now`: it lasts the base time, once more for each that is not forgiven."""
    number = remembered_ejections(state, now, rules) + 1
    until = now + min(rules.base_ejection * number, rules.most_ejection)
    return replace(state, ejections=number, ejected_until=until, score=0.0, scored_at=now)


def remembered_ejections(state: NodeState, now: float, rules: Rules) -> int:
    """Earlier ejections that still count at `now`; each `forgiveness` seconds without one take one off."""
    if state.ejected_until is None:
        return 0
    quiet = max(0.0, now - state.ejected_until)
    # No more than the number that reaches the longest ejection, so that years of faults are forgiven like weeks.
    most = int(rules.most_ejection / rules.base_ejection) + 1
    return max(0, min(state.ejections, most) - int(quiet / rules.forgiveness))


def score_at(state: NodeState, now: float, rules: Rules) -> float:
    """Points of evidence at `now`: a full score fades to nothing in `evidence_window`, evenly."""
    return max(0.0, state.score - max(0.0, now - state.scored_at) * rules.evidence / rules.evidence_window)


def is_ejected(state: NodeState, now: float) -> bool:
    """True while an ejection lasts."""
    return state.ejected_until is not None and now < state.ejected_until


def is_healthy(state: NodeState, now: float) -> bool:
    """True where probes call the node up and no ejection lasts."""
    return state.up and not is_ejected(state, now)


def is_suspicious(state: NodeState, now: float, rules: Rules) -> bool:
    """True where results contradict the state, or transfers have lately failed: it is probed at the fast interval."""
    return state.streak > 0 or score_at(state, now, rules) >= rules.evidence / 2


def share(state: NodeState, now: float, rules: Rules) -> float:
    """The share of its weight that the node deserves now: 0 while unhealthy, then `least_share` growing to 1.

    Envoy's formula: max(least, (time / window) ^ (1 / aggression)).
    """
    if not is_healthy(state, now):
        return 0.0
    starts = [time for time in (state.returned_at, state.ejected_until) if time is not None]
    if not starts or rules.slow_start <= 0:
        return 1.0
    grown = min(1.0, max(0.0, now - max(starts)) / rules.slow_start)
    return max(rules.least_share, float(grown ** (1 / rules.aggression)))
