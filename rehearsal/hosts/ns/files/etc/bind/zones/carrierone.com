$TTL 300
@	IN	SOA	cp.carrierone.com. hostmaster.carrierone.com. 2026061901 7200 3600 1209600 60
@	IN	NS	cp.carrierone.com.

@	IN	MX	10 co
@	IN	TXT	"v=spf1 mx ip4:207.174.124.22 -all"
cp	IN	A	207.174.124.22
co	IN	A	207.174.124.15
