"""An address is what Python's `ipaddress` makes of it."""

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deliverability.dmarc import values

ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda one: one.exploded.upper()),
    st.ip_addresses(v=4).map(lambda one: f"::ffff:{one}"),
    st.text("0123456789abcdefA:.%/ \0\u0661", max_size=24),
)


def expected(text: str) -> str | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        return None if found.scope_id else str(found.ipv4_mapped or found)
    return str(found)


@settings(max_examples=1_000, deadline=None, derandomize=True, database=None)
@given(ADDRESSES)
@example("::1.2.3.4")
@example("::ffff:0:1.2.3.4")
@example("64:ff9b::1.2.3.4")
@example("0:0:1::")
@example("1:0:0:2::")
@example("fe80::1%eth0")
@example("01.2.3.4")
@example("1.2.3")
@example("")
@example("\ud800")
def test_it_is_what_python_makes_of_it(text: str) -> None:
    wanted = expected(text)
    if wanted is not None:
        assert values.address(text) == wanted
        return
    with pytest.raises(ValueError, match="source_ip"):
        values.address(text)
