"""A stand-in for the DNS commands of HestiaCP, with its faults: they are what a procedure has to live with.

It runs in the DNS master of the rehearsal, with that host's own Python; /usr/local/hestia/bin has a link for every
command. The state is in files of the form and at the places that HestiaCP has them; behind them is a real BIND.
Two generations can be chosen, 1.9.4 and 1.10.3, and two misfortunes: a restart that fails, a rebuild that takes long.
"""
