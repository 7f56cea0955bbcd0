$TTL 300
@	IN	SOA	a.root-servers.net. hostmaster.root-servers.net. 2026061901 7200 3600 1209600 60
@	IN	NS	a.root-servers.net.

@	IN	MX	0 fabrikam-com.mail.protection.outlook.com.
@	IN	TXT	"v=spf1 include:spf.protection.outlook.com -all"
