#!/bin/sh
# Becomes pid 1 of a host: builds the host's file system, turns it into the root, and runs the host's own boot script.
# Arguments: host name, rootfs, files layer, folder for the host's writes. Runs in fresh namespaces; nothing it mounts
# is visible outside of them. The folder for the writes outlives this process, so files survive a reboot; /run, /tmp
# and /dev do not.
set -e
name=$1 rootfs=$2 files=$3 writes=$4
mkdir -p "$writes/upper" "$writes/work" "$writes/root"
mount -t overlay -o "lowerdir=$files:$rootfs,upperdir=$writes/upper,workdir=$writes/work" overlay "$writes/root"
cd "$writes/root"
mount -t proc proc proc
# Kernel settings are the machine's own, except those of the network, which each host has for itself.
mount --bind proc/sys/net proc/sys/net
mount --rbind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
while read -r node major minor; do
  mknod -m 666 "dev/$node" c "$major" "$minor"
done <<'NODES'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
NODES
mkdir dev/pts dev/shm run/lock
: >dev/console # systemd opens it; what it writes there is of no interest
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
hostname "$name"
mkdir -p .machine
pivot_root . .machine
cd /
umount -l /.machine
rmdir /.machine
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
# There is nobody to share an IPv6 address with: do not spend the first seconds in finding that out.
for scope in all default; do # the kernel asks both
  [ ! -d /proc/sys/net/ipv6 ] || echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad
done
until [ -e /sys/class/net/eth0 ]; do sleep 0.01; done # the cable is plugged in from the hub
[ ! -d /proc/sys/net/ipv6 ] || echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad # it may have come first
exec setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-syslog /bin/sh -e /usr/local/lib/rehearsal/boot
