"""Our own look at the sending host, in a process that has its imports behind it.

For each line on standard input: one observation, its seconds on standard output. Started by plan_time.py in the hub.
"""

import sys
import time

from blocks import mta
from blocks.resolver import PublicResolver
from blocks.ssh_host import SshHost
from flows.opening import open_estate


def main() -> None:
    estate = open_estate("rehearsal")
    host = SshHost.of(estate.mta.host, estate.hosts[estate.mta.host])
    resolver = PublicResolver.of(estate)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        with host.observe() as reader:
            mta.read_footprint(reader, estate, resolver)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
