$TTL 300
@	IN	SOA	cp.carrierone.com. hostmaster.carrierone.com. 2026061901 7200 3600 1209600 60
@	IN	NS	cp.carrierone.com.

@	IN	MX	5 gmail-smtp-in.l.google.com.
