#!/bin/sh
# Undo or disarm one guarded change. Lives in the directory of its run, with everything it needs:
#   run, deadline     what this is about
#   state             new | armed | disarmed | undone | failed, with the time, and by whom
#   decision          leads to disarm or undo, whichever came first: only one of them is ever carried out
#   files             BACKUP<TAB>PATH of each file as it was before the run; a copy also waits beside each PATH, so that
#                     putting it back needs no free space: PATH's folder/.NAME.guard-RUN
#   reserve           space for the records of an undo on a full disk
#   addresses         ADDRESS/PREFIX<TAB>INTERFACE<TAB>LABEL<TAB>BROADCAST of each address, in their order
#   added             ADDRESS/PREFIX<TAB>INTERFACE of each address that the run adds, in their order
#   routes            `ip -4 route show` of before
#   services          those beside Postfix that read the files, a line each
#   journal           what the run did so far, a line for each step
#   undo.log          what an undo did
# Usage: guard.sh undo | disarm | accept      (accept: its undo failed, and a person has put the host right)
# Its timer uses guard.sh expire, every half minute until it succeeds. The run itself uses: guard.sh arm (once the timer
# waits), guard.sh note LINE (for the journal, taken only while armed), guard.sh do COMMAND... (a change, carried out
# only while armed), guard.sh confirm (disarm), guard.sh restore (undo, and again if a change slipped in).
set -u
trap '' PIPE # whoever listened may be gone: an undo goes on
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
here=$(cd "$(dirname "$0")" && pwd) || exit 1
run=$(cat "$here/run")
unit=deliverability-guard-$run
# One at a time. But an undo waits for nobody for long: whoever holds the lock may hang on a connection that is dead.
# The directory is the lock: a file would have to be made, and on a read-only file system an undo must go on all the same.
exec 9<"$here"
case $1 in undo | restore | expire) flock --wait 10 9 ;; *) flock 9 ;; esac
case $1 in expire) by="by its guard" ;; undo | disarm | accept) by="by hand" ;; *) by="by a run" ;; esac

say() {
  echo "$*"
  printf '%s %s\n' "$(date -u +%FT%TZ)" "$*" >>"$here/undo.log"
  logger -t deliverability-guard -- "run $run: $*"
}

set_state() {
  [ "$1" = armed ] || rm -f "$here/reserve"
  printf '%s %s %s\n' "$1" "$(date -u +%FT%TZ)" "$by" >"$here/state.new" && sync "$here/state.new" &&
    mv "$here/state.new" "$here/state" && sync "$here" # the name too, or a power cut takes it back
}

# The first one to make the link has decided. A rename, a state or the lock may each hang; this does not.
decide() {
  ln -s -T "$1" "$here/decision" 2>/dev/null && sync "$here"
  [ "$(readlink "$here/decision")" = "$1" ]
}

disarm() { set_state disarmed && { clean_up; echo "disarmed"; }; }

# Each BACKUP<TAB>PATH, with the file that PATH leads to: a link stays a link.
each_file() {
  while IFS='	' read -r backup path; do printf '%s\t%s\n' "$backup" "$(readlink -f -- "$path" || echo "$path")"; done <"$here/files"
}

# What waits beside a file to take its place.
beside() { printf '%s/.%s.guard-%s' "$(dirname "$1")" "$(basename "$1")" "$run"; }

# A unit that removes itself must not stop the service it runs in: only the timer is stopped.
clean_up() {
  systemctl disable --now --quiet "$unit.timer"
  rm -f "/etc/systemd/system/$unit.timer" "/etc/systemd/system/$unit.service" "/var/lib/systemd/timers/stamp-$unit.timer"
  systemctl daemon-reload
  each_file | while IFS='	' read -r _ path; do rm -f "$(beside "$path")"; done
  rm -f "$here/reserve"
  # On a file system that is read-only nothing goes: then the timer comes again.
  [ ! -e "/etc/systemd/system/$unit.timer" ] && [ ! -e "/etc/systemd/system/$unit.service" ]
}

restore_files() {
  each_file | while IFS='	' read -r backup path; do
    rm -f "$(dirname "$path")/.$(basename "$path").runbook-new" # of a write that was cut off
    cmp -s "$backup" "$path" && continue
    cp -p "$path" "$here/replaced-$(basename "$path")" 2>/dev/null # whatever stood there is evidence
    cmp -s "$backup" "$(beside "$path")" || { cp -p "$backup" "$(beside "$path")" && sync "$(beside "$path")"; }
    if cmp -s "$backup" "$(beside "$path")" && mv -f "$(beside "$path")" "$path"; then
      sync "$(dirname "$path")"
      say "restored $path from $backup"
    else
      say "FAILED to restore $path from $backup"
    fi
  done
}

# One of a point-to-point link has its peer where others have their prefix.
is_live() { ip -o -4 addr show dev "$2" | grep -qF -e " inet ${1%/*}/" -e " inet ${1%/*} peer "; }

restore_addresses() {
  while IFS='	' read -r address interface label broadcast; do
    is_live "$address" "$interface" && continue
    if ip addr add "$address" ${broadcast:+brd "$broadcast"} dev "$interface" label "$label"; then
      say "added $address to $interface"
    else
      say "FAILED to add $address to $interface"
    fi
  done <"$here/addresses"
}

# The last one first: the first of a subnet is its primary, and may take the others with it.
remove_added() {
  tac "$here/added" | while IFS='	' read -r address interface; do
    is_live "$address" "$interface" || continue
    grep -q "^$address	$interface	" "$here/addresses" && continue
    if ip addr del "$address" dev "$interface"; then
      say "removed $address from $interface"
    else
      say "FAILED to remove $address from $interface"
    fi
  done
}

# One a line, with all its next hops, without what the kernel adds while a cable is out: see route_lines in guard_arming.py.
routes() { tr -d '\\' | sed -e 's/ linkdown//g' -e 's/ dead//g' -e 's/[[:space:]][[:space:]]*/ /g' -e 's/ $//'; }
live_routes() { ip -o -4 route show | routes; }

restore_routes() {
  while read -r route; do
    live_routes | grep -qxF "$route" && continue
    # shellcheck disable=SC2086 # a route is a list of words
    if ip -4 route replace $route; then say "restored route $route"; else say "route $route: not restored"; fi
  done <"$here/routes"
}

# As a service of its own: systemd ends what a service leaves behind, and this may run in the service of the timer.
start_postfix() { { systemctl restart postfix.service && postfix status 2>/dev/null; } || postfix start; }

# Started if it died meanwhile: a mail host without Postfix is not the old state.
reload_postfix() {
  if ! postfix status 2>/dev/null && postfix check && start_postfix; then
    say "started Postfix"
  elif postfix check && postfix reload; then
    say "reloaded Postfix"
  else
    say "FAILED to reload Postfix"
    return 1
  fi
}

# Those that read the files and are not Postfix.
reload_services() {
  while read -r service; do
    if systemctl reload-or-restart "$service" </dev/null; then say "reloaded $service"; else say "FAILED to reload $service"; fi
  done <"$here/services"
}

missing() {
  while IFS='	' read -r backup path; do cmp -s "$backup" "$path" || echo "$path"; done <"$here/files"
  while IFS='	' read -r address interface _; do is_live "$address" "$interface" || echo "$address"; done <"$here/addresses"
  while read -r route; do live_routes | grep -qxF "$route" || echo "route $route"; done <"$here/routes"
  while IFS='	' read -r address interface; do
    is_live "$address" "$interface" && ! grep -q "^$address	$interface	" "$here/addresses" && echo "$address, added"
  done <"$here/added"
  while read -r service; do systemctl is-active --quiet "$service" || echo "$service"; done <"$here/services"
  return 0
}

undo() {
  rm -f "$here/reserve"
  say "undoing, $by; the deadline is $(cat "$here/deadline")"
  restore_files
  restore_addresses
  restore_routes
  restore_routes # a gateway may be reached by a route that comes after its own
  reload_services
  # Transports go before their addresses, or Postfix would send from another one.
  if reload_postfix; then remove_added; left=$(missing); else left="Postfix $(missing)"; fi
  if [ -z "$left" ]; then
    set_state undone || return 5
    say "the old state is back"
    clean_up
    return
  fi
  set_state failed
  say "the old state is NOT back: $(echo "$left" | tr '\n' ' ')"
  return 5
}

# Whether no later run has been here, whose work an undo of this one would take for its own.
is_latest() { [ "$(readlink "$here/../current")" = "$run" ]; }

# A timer whose moment has passed is active too, and never fires.
arm() {
  timer=$(systemctl show --property=SubState --value "$unit.timer")
  if [ "$timer" = waiting ] && [ "$(date -d "$(cat "$here/deadline")" +%s)" -gt "$(date +%s)" ]; then
    set_state armed
  else
    clean_up
    echo "the timer is $timer, not waiting for its deadline $(cat "$here/deadline")" >&2
    return 93
  fi
}

state=
[ ! -e "$here/state" ] || read -r state _ <"$here/state"
: "${state:=new}" # of a disk that was full
[ "$state" != new ] || [ ! -s "$here/journal" ] || state=armed # of a power cut
case "$1:$state" in
arm:new) arm ;;
undo:new | restore:new | expire:new) set_state undone && echo "nothing was changed" && clean_up ;;
undo:armed | restore:armed | expire:armed | undo:failed | restore:failed | expire:failed)
  decide undo
  if [ "$(readlink "$here/decision")" = disarm ]; then
    disarm # it was cut short
  elif is_latest; then
    undo
  else
    echo "a later run has been here; settle it by hand: $(cat "$here/files")" >&2 && exit 5
  fi
  ;;
restore:undone) if is_latest && [ -n "$(missing)" ]; then undo; fi ;;
undo:* | restore:* | expire:*) echo "nothing to undo: $(cat "$here/state")" && clean_up ;;
note:armed) printf '%s\n' "$2" >>"$here/journal" && sync "$here/journal" ;;
do:armed) shift && "$@" 9<&- ;;
disarm:armed | confirm:armed)
  rm -f "$here/reserve"
  if decide disarm; then disarm; else echo "not confirmed: it is being undone" >&2 && exit 93; fi
  ;;
accept:failed) disarm ;;
disarm:disarmed | confirm:disarmed) echo "disarmed" ;;
arm:* | note:* | do:* | disarm:* | confirm:* | accept:*)
  echo "not armed any more: $(cat "$here/state")" >&2
  exit 93
  ;;
*)
  echo "usage: guard.sh undo | disarm | accept" >&2
  exit 64
  ;;
esac
