#!/bin/sh
# Breaks a host, or mends it. Given to a shell of the host from outside, as its root: it needs no SSH and no disk.
# Arguments: inject or mend, then the name of the fault. Either may be done twice.
#
# What it does lives in processes, in mounts and in /run, so a reboot mends it too; only what fills the disk stays.
set -eu

# A mount over a path hides what is there and changes nothing of it, not even its time stamps.
covered() { grep -qF " $1 " /proc/self/mounts; }
cover() { mount --bind "$2" "$1"; }
uncover() { while covered "$1"; do umount --lazy "$1"; done; } # lazily: whoever has a file of it open may finish

# Its sessions are processes of the same name. There may be none left.
kill_sshd() { pkill -KILL -x sshd || true; }
# systemd refuses what was started often of late; that would be about these faults, not about the host.
forgive_ssh() { systemctl reset-failed ssh.service 2>/dev/null || true; }
start_ssh() {
  forgive_ssh
  systemctl start ssh.service rehearsal-ready.service # a stop of the one is a stop of the other
}
restart_ssh() { # if it runs: else it reads its keys when it starts
  forgive_ssh
  ! systemctl is-active --quiet ssh.service || systemctl restart ssh.service
}

fill=/var/tmp/rehearsal-fill
fill_disk() {
  cat /dev/zero >>$fill 2>/dev/null || true
  if echo more 2>/dev/null >$fill.more; then echo "the disk takes more" >&2 && exit 1; fi
  rm -f $fill.more
}

places="/etc /var/lib/deliverability-runbook" # of a run: what it changes, and its guard
make_read_only() { [ ! -d "$1" ] || covered "$1" || { cover "$1" "$1" && mount -o remount,bind,ro "$1"; }; }
# first writable: what was opened through the mount outlives it
make_writable() { ! covered "$1" || { mount -o remount,bind,rw "$1" && uncover "$1"; }; }

# It carries out all commands of Postfix, and is read anew for each: one line more in one of them.
script=/usr/lib/postfix/sbin/postfix-script
spoilt=/run/rehearsal-postfix-script
spoil_reload() {
  # shellcheck disable=SC2016 # the variable is the script's
  sed '/^reload)$/a $FATAL cannot refresh the Postfix mail system; exit 1' $script >$spoilt
  if cmp -s $script $spoilt; then echo "no reload in $script" >&2 && exit 1; fi
  chmod 755 $spoilt
  cover $script $spoilt
}

key=/etc/ssh/ssh_host_ed25519_key
other_key=/run/rehearsal-host-key
change_key() {
  ssh-keygen -q -t ed25519 -N '' -f $other_key
  cover $key $other_key
  cover $key.pub $other_key.pub
  restart_ssh
}
restore_key() {
  uncover $key
  uncover $key.pub
  rm -f $other_key $other_key.pub
  restart_ssh
}

# Stopping timers.target stops no timer. This stops those that wait, and keeps later ones from waiting: a unit whose
# condition is not met counts as started, and does nothing.
timers=/run/systemd/system/timer.d
stop_timers() {
  mkdir -p $timers
  printf '[Unit]\nConditionPathExists=/nowhere\n' >$timers/rehearsal.conf
  systemctl daemon-reload
  systemctl stop timers.target '*.timer'
}
start_timers() {
  rm -r $timers
  systemctl daemon-reload
  systemctl start timers.target
}

case "$1 $2" in
"inject sshd-killed") kill_sshd ;;
"mend sshd-killed") start_ssh ;;
"inject sshd-gone") systemctl mask --runtime --now --quiet ssh.service ssh.socket && kill_sshd ;;
"mend sshd-gone") systemctl unmask --runtime --quiet ssh.service ssh.socket && start_ssh ;;
"inject disk-full") fill_disk ;;
"mend disk-full") rm -f $fill ;;
"inject read-only") for place in $places; do make_read_only "$place"; done ;;
"mend read-only") for place in $places; do make_writable "$place"; done ;;
"inject reload-fails") covered $script || spoil_reload ;;
"mend reload-fails") uncover $script && rm -f $spoilt ;;
"inject host-key") covered $key || change_key ;;
"mend host-key") ! covered $key || restore_key ;;
"inject cron-stopped") systemctl stop cron.service ;;
"mend cron-stopped") systemctl start cron.service ;;
"inject timers-stopped") stop_timers ;;
"mend timers-stopped") [ ! -e $timers ] || start_timers ;;
*) echo "unknown: $1 $2" >&2 && exit 64 ;;
esac
