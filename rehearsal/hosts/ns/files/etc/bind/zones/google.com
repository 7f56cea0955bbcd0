$TTL 300
@	IN	SOA	a.root-servers.net. hostmaster.root-servers.net. 2026061901 7200 3600 1209600 60
@	IN	NS	a.root-servers.net.

gmail-smtp-in.l	IN	A	142.250.27.26
aspmx.l	IN	A	142.250.27.27
