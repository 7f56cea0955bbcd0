$TTL 300
@	IN	SOA	a.root-servers.net. hostmaster.root-servers.net. 2026061901 7200 3600 1209600 60
@	IN	NS	a.root-servers.net.

@	IN	MX	5 gmail-smtp-in.l.google.com.
