#!/bin/sh
# The hub: a network namespace with one bridge and no uplink, and the private disk all hosts write to.
# Arguments: the folder to mount that disk on, then the prefixes that exist in this world.
#
# Only those prefixes have a route. Anything else fails at once with "Network is unreachable" instead of leaving, or
# waiting for an answer to an ARP request.
set -e
disk=$1
shift
mount -t tmpfs -o mode=755,size=1g rehearsal "$disk"
ip link set lo up
ip link add rehearsal0 type bridge
ip addr add 203.0.113.10/32 dev rehearsal0 # the operator's workstation
ip link set rehearsal0 up
for prefix; do
  ip route add "$prefix" dev rehearsal0 src 203.0.113.10
done
echo ready
exec sleep infinity
