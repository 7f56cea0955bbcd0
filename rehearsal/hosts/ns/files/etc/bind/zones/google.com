$TTL 300
@	IN	SOA	cp.carrierone.com. hostmaster.carrierone.com. 2026061901 7200 3600 1209600 60
@	IN	NS	cp.carrierone.com.

gmail-smtp-in.l	IN	A	142.250.27.26
aspmx.l	IN	A	142.250.27.27
