$TTL 300
@	IN	SOA	cp.carrierone.com. hostmaster.carrierone.com. 2026061901 7200 3600 1209600 60
@	IN	NS	cp.carrierone.com.

@	IN	MX	5 outlook-com.olc.protection
outlook-com.olc.protection	IN	A	52.101.73.10
contoso-com.mail.protection	IN	A	52.101.8.36
fabrikam-com.mail.protection	IN	A	52.101.8.36
clinic-example.mail.protection	IN	A	52.101.8.36
