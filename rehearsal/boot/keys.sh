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
  (umask 077; head -c 24 /dev/urandom | base64 >dmarc-password)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -keyout co.key -out co.crt \
    -subj /CN=co.carrierone.com -addext subjectAltName=DNS:co.carrierone.com,IP:207.174.124.15 2>/dev/null
  opendkim-genkey --bits=2048 --domain=send.performancewest.net --selector=send
  # the one that BIND would make itself, made here so that the resolvers can be told of it before
  dnssec-keygen -q -k default performancewest.net >/dev/null
'
