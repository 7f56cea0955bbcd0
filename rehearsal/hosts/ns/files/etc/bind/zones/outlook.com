$TTL 300
@	IN	SOA	a.root-servers.net. hostmaster.root-servers.net. 2026061901 7200 3600 1209600 60
@	IN	NS	a.root-servers.net.

@	IN	MX	5 outlook-com.olc.protection
outlook-com.olc.protection	IN	A	52.101.73.10
contoso-com.mail.protection	IN	A	52.101.8.36
fabrikam-com.mail.protection	IN	A	52.101.8.36
clinic-example.mail.protection	IN	A	52.101.8.36
