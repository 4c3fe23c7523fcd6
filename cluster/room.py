"""How many runs of one recipe fit side by side: on a cluster as many as it has room for."""

from __future__ import annotations

from cluster.local import cluster_nodes, ray_session, resolve_address
from cluster.placement import make_plan, runs_that_fit
from tailor_rl.config.schema import RunConfig

MOST = 64  # drivers on one machine: each is a process of its own


def runs_at_once(cfg: RunConfig) -> int:
    """1 on this machine, whose cores one run takes; of a Ray that is joined, by its resources."""
    if resolve_address(cfg.cluster.address) == "local":
        return 1
    plan = make_plan(cfg)
    with ray_session(cfg.cluster.address, plan):
        return runs_that_fit(plan, cluster_nodes(), most=MOST)
