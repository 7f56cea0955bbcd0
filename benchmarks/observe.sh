# The floor: what blocks/mta.py reads of the sending host, read by a shell in one exec over one SSH connection.
# ssh root@HOST sh -s < observe.sh
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
files='/etc/postfix/master.cf /etc/postfix/main.cf /etc/network/interfaces /etc/cron.d/pw-ip-rehab'
conf=/proc/sys/net/ipv4/conf

for file in $files; do cat -- "$file"; done
stat -L -c '%n	%a	%U:%G	%Z' -- $files
ip -j addr show
ip -j route show
cat -- $conf/all/promote_secondaries $conf/eth0/promote_secondaries
ss -Hltn
queue=$(postqueue -j)
printf '%s\n' "$queue"
ps -C qmgr -o lstart=
date +%z
printenv SSH_CONNECTION
for name in $(ls -1 -- /etc/network/interfaces.d); do cat -- "/etc/network/interfaces.d/$name"; done
ids=$(printf '%s\n' "$queue" | sed -n 's/.*"queue_id": "\([^"]*\)".*/\1/p')
[ -z "$ids" ] || postcat -e -q $ids
