"""DKIM key records: out of key files, and what is wrong with a published one."""

import base64

import pytest

from deliverability.dkim import record
from deliverability.errors import MalformedFile

P = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4QSlFYjjVwapSCVKlC7Z5TmGffbW1xF04e17Roa2JD00mMx3VNoIcisApOdCSVJY0fnz"
    "293Zoi3FIyt7bFQqPzoV9Pgivs1CLugZragZjtO4i2+MoZk71chxyUVV7egZut5CJ1+9kM+aODQrLW/+ZXDsS7G5Su0ItQaCoc0KcfTmGc2WjHFU"
    "rBN5bZUGRvqVT3yk2sWsHJvwkJc+WT6H6rRexnyNNl0CXbr1tDHnjeOO1TT6a2ZVYn06BNS253vH4qXNcHzz+g8QaoZU+zuVwgPYMIvmGa98DM2W"
    "cZiQNpXbiaHXomL/kp6Hd/8J0DF2qbBv2KCRMoKKYgOUdzse1QIDAQAB"
)
VALUE = f"v=DKIM1; h=sha256; k=rsa; p={P}"
GENKEY = (
    'ab._domainkey\tIN\tTXT\t( "v=DKIM1; h=sha256; k=rsa; "\n'
    f'\t  "p={P[:248]}"\n\t  "{P[248:]}" )  ; ----- DKIM key ab for x.y\n'
)
LINES = "\n".join(P[start : start + 64] for start in range(0, len(P), 64))
PEM = f"-----BEGIN PUBLIC KEY-----\n{LINES}\n-----END PUBLIC KEY-----\n"


def rsa(bits: int) -> str:
    """A key of this size, as far as its form goes."""

    def element(tag: int, content: bytes) -> bytes:
        size = len(content)
        long = bytes([0x82, size >> 8, size & 0xFF])
        return bytes([tag]) + (bytes([size]) if size < 128 else long) + content

    modulus = element(0x02, b"\0" + (1 << (bits - 1)).to_bytes(bits // 8, "big"))
    key = element(0x03, b"\0" + element(0x30, modulus + element(0x02, b"\1\0\1")))
    algorithm = element(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    return base64.b64encode(element(0x30, algorithm + key)).decode()


def test_the_pieces_of_genkey_are_one_value_without_a_blank_between_them() -> None:
    assert record.from_genkey(GENKEY, "ab.txt") == VALUE
    assert len(VALUE) == 420


def test_a_note_in_the_file_stays_a_note() -> None:
    noted = GENKEY.replace("k=rsa; ", 'k=rsa; n=\\"by mk\\"; ')
    assert record.parse(record.from_genkey(noted, "ab.txt"))["n"] == '"by mk"'


def test_a_public_key_gives_the_same_value() -> None:
    assert record.from_public_key(PEM, "ab.private") == VALUE
    assert record.same_key(VALUE, f"k=rsa;p={P[:100]} {P[100:]}")
    assert record.bits(VALUE) == 2048


@pytest.mark.parametrize("text", ["", "x", GENKEY[:200], GENKEY.replace("p=", "q="), '"p=x"'])
def test_what_is_no_file_of_genkey_is_said(text: str) -> None:
    with pytest.raises(MalformedFile, match=r"ab\.txt:1"):
        record.from_genkey(text, "ab.txt")


@pytest.mark.parametrize("text", ["", PEM.replace("PUBLIC", "PRIVATE"), PEM.replace("MIIB", "MIIC"), PEM[:200]])
def test_what_is_no_public_key_is_said(text: str) -> None:
    with pytest.raises(MalformedFile, match=r"ab\.private:1"):
        record.from_public_key(text, "ab.private")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "no p="),
        ("v=DKIM1; p=", "p= is empty: the key is revoked"),
        (f"v=DKIM2; p={P}", "v= is not DKIM1, or not the first tag"),
        (f"k=rsa; v=DKIM1; p={P}", "v= is not DKIM1, or not the first tag"),
        (f"v=DKIM1; p={P}; p={P}", "p= twice"),
        (f"v=DKIM1; nonsense; p={P}", "not understood: 'nonsense'"),
        ("v=DKIM1; p=%%%", "p= is no base64"),
        (f"v=DKIM1; p={P[:80]}", "p= is cut off"),
        ("v=DKIM1; p=AAAA", "p= is no RSA key"),
        (f"v=DKIM1; p={rsa(512)}", "512 bits: receivers ignore a key of less than 1024"),
        (f"v=DKIM1; p={rsa(1024)}", "1024 bits, and 2048 are wanted"),
        (f"v=DKIM1; k=dsa; p={P}", "k=dsa, which no receiver knows"),
        ("v=DKIM1; k=ed25519; p=AAAA", "an ed25519 key of 3 bytes, not 32"),
        (f"v=DKIM1; h=sha1; p={P}", "h=sha1 does not allow sha256, the only hash in use"),
        (f"v=DKIM1; s=web; p={P}", "s=web does not allow email"),
        (f"v=DKIM1; t=y:s; p={P}", "t=y: testing, receivers may treat the mail as unsigned"),
    ],
)
def test_what_is_wrong_with_a_record(value: str, said: str) -> None:
    assert record.problems(value) == (said,)


@pytest.mark.parametrize(
    "value",
    [
        VALUE,
        f"p={P}",
        f"v=DKIM1; h=sha1:sha256; s=*; t=s; n=note; x=y; p={P};",
        f"v=DKIM1;\tk = rsa ;p = {P[:10]} {P[10:]}",
        f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(32)).decode()}",
        f"v=DKIM1; p={rsa(4096)}",
    ],
)
def test_nothing_is_wrong_with_a_good_record(value: str) -> None:
    assert record.problems(value) == ()
