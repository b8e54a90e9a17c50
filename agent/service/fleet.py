"""How the hosts are: our own first, then those of configs/hosts.toml, as the collector last saw them.

hosts(desk) -> list of documents, each with:
    host             null for our own
    name             of the host, for people
    address          null for our own
    reachable        true, false, null when it was never reached
    last_seen_at     UTC ISO 8601
    agents           of our own: [{name, alive, heartbeat_age_s, pid, started_at, version, slots, state …}]
    agent_version    null when nobody knows
    slots, slots_used, load_1m, disk_free_bytes, disk_total_bytes    null when nobody knows
    waiting, running, waiting_for_a_person, uncollected, on_its_way, unknown      counts
    paused           [everything, tool NAME, group NAME]
    trouble          one line, null when there is none
"""
