#!/bin/sh
# Makes the keys of one estate, with the programs of the rootfs. Runs in a mount namespace of its own.
# Arguments: rootfs, folder for the keys.
set -e
mount --bind "$2" "$1/mnt"
exec chroot "$1" /bin/sh -ec '
  cd /mnt
  for name in operator host-mta host-cp; do
    ssh-keygen -q -t ed25519 -N "" -C "$name" -f "$name"
  done
  (umask 077; head -c 24 /dev/urandom | base64 >listmonk-token)
  opendkim-genkey --bits=2048 --domain=send.performancewest.net --selector=send
  # the one that BIND would make itself, made here so that the resolvers can be told of it before
  dnssec-keygen -q -k default performancewest.net >/dev/null
'
