$TTL 300
@	IN	SOA	cp.carrierone.com. hostmaster.carrierone.com. 2026061901 7200 3600 1209600 60
@	IN	NS	cp.carrierone.com.

@	IN	MX	0 fabrikam-com.mail.protection.outlook.com.
@	IN	TXT	"v=spf1 include:spf.protection.outlook.com -all"
