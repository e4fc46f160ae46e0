"""How many partitions are copied at once: what workers, endpoints and the servers' connections allow."""

from __future__ import annotations

from arrowsync.core.contracts import Sink, Source
from arrowsync.core.plan import TablePlan
from arrowsync.errors import ConfigError

# Besides those of the pipes: a source's server has the snapshot's connection, a target's the lock's, and one
# that looks, prepares, counts; two while what was written is read back.
FEWEST, FEWEST_ON_ONE_SERVER = 3, 4


def wanted_concurrency(plan: TablePlan, source: Source, sink: Sink) -> int:
    """How many partitions there should be under way, if memory allows; at least one."""
    wanted = min(plan.transfer.worker_count, len(plan.partitions))
    if sink.capabilities.writers is not None:
        wanted = min(wanted, sink.capabilities.writers)
    if source.capabilities.readers is not None:
        wanted = min(wanted, source.capabilities.readers)
    if (most := concurrency_of_connections(plan.transfer.limits.max_connections, source, sink)) is not None:
        wanted = min(wanted, most)
    return max(1, wanted)


def wanted_readers(plan: TablePlan, source: Source, sink: Sink) -> int:
    """How many should read the one partition under way: workers that have none of their own do."""
    if wanted_concurrency(plan, source, sink) > 1:
        return 1
    wanted = plan.transfer.worker_count
    if source.capabilities.readers is not None:
        wanted = min(wanted, source.capabilities.readers)
    if (most := concurrency_of_connections(plan.transfer.limits.max_connections, source, sink)) is not None:
        wanted = min(wanted, most)
    return max(1, wanted)


def concurrency_of_connections(max_connections: int | None, source: Source, sink: Sink) -> int | None:
    """How many pipes the servers' connections are enough for; None where nobody counts them.

    A pipe has one to each side. Raises ConfigError where they are not enough for one.
    """
    servers = [place.server for place in (source, sink) if place.server is not None]
    if max_connections is None or not servers:
        return None
    on_one = len(set(servers)) < len(servers)
    fewest = FEWEST_ON_ONE_SERVER if on_one else FEWEST
    if max_connections < fewest:
        where = f"{servers[0]} is source and target" if on_one else "a copy also holds a snapshot or a lock"
        raise ConfigError(
            f"max_connections: {max_connections} are too few", hint=f"Give it {fewest}: {where}"
        )
    return (max_connections - 2) // 2 if on_one else max_connections - 1
