#!/bin/sh
# The hub: a network namespace with one bridge and no uplink, and the disks the hosts write to, one for each.
# Arguments: the folder with a mount point for every disk, its size, then the prefixes that exist in this world.
#
# Only those prefixes have a route. Anything else fails at once with "Network is unreachable" instead of leaving, or
# waiting for an answer to an ARP request.
set -e
disks=$1 size=$2
shift 2
for disk in "$disks"/*; do
  mount -t tmpfs -o "mode=755,size=$size" rehearsal "$disk"
done
ip link set lo up
ip link add rehearsal0 type bridge
ip addr add 203.0.113.10/32 dev rehearsal0 # the operator's workstation
ip link set rehearsal0 up
for prefix; do
  ip route add "$prefix" dev rehearsal0 src 203.0.113.10
done
echo ready
exec sleep infinity
