"""The TXT record of a DKIM key: from a key file, and what is wrong with a published one (RFC 6376 3.6.1, RFC 8301)."""

import base64
import binascii
import re
from collections.abc import Mapping

from deliverability.errors import MalformedFile

LEAST_BITS = 1024
BITS = 2048
"""RFC 8301: a signer must use 1024 bits or more, and should use 2048."""

_RSA_OID = bytes.fromhex("2a864886f70d010101")
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(?P<body>[A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----", re.ASCII)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TAG = re.compile(r"\s*([a-z][a-z0-9_]*)\s*=\s*([^;]*?)\s*\Z", re.ASCII | re.IGNORECASE | re.DOTALL)


class DkimError(ValueError):
    """The text is no DKIM key record: a verifier treats it as if there were none."""


def from_genkey(text: str, path: str) -> str:
    """The one unsplit value in a .txt file of opendkim-genkey: its quoted pieces, joined with nothing between them.

    Joined with a space, as some DNS masters do it, the key has a space inside. Raises MalformedFile.
    """
    value = "".join(piece.replace("\\", "") for piece in _STRING.findall(text))
    if found := problems(value, least=0):
        raise MalformedFile(path, 1, f"no record of opendkim-genkey: {found[0]}")
    return value


def from_public_key(pem: str, path: str) -> str:
    """The value for a public key in PEM, as `openssl pkey -pubout` prints it; as opendkim-genkey would write it."""
    match = _PEM.search(pem)
    if match is None:
        raise MalformedFile(path, 1, "no public key came of it")
    value = f"v=DKIM1; h=sha256; k=rsa; p={''.join(match['body'].split())}"
    if found := problems(value, least=0):
        raise MalformedFile(path, 1, found[0])
    return value


def parse(value: str) -> dict[str, str]:
    """The tags of a record, white space in p= taken out (folding is legal there). Raises DkimError."""
    tags: dict[str, str] = {}
    for part in value.split(";"):
        if not part.strip():
            continue
        match = _TAG.fullmatch(part)
        if match is None:
            raise DkimError(f"not understood: {part.strip()[:40]!r}")
        name = match[1]
        if name in tags:
            raise DkimError(f"{name}= twice")
        if name == "v" and (tags or match[2] != "DKIM1"):
            raise DkimError("v= is not DKIM1, or not the first tag")
        tags[name] = match[2]
    if "p" not in tags:
        raise DkimError("no p=")
    return tags | {"p": "".join(tags["p"].split())}


def same_key(left: str, right: str) -> bool:
    """Whether two records publish the same key. Raises DkimError."""
    return parse(left)["p"] == parse(right)["p"]


def problems(value: str, least: int = BITS) -> tuple[str, ...]:
    """What is wrong with a record, a sentence each; nothing for a good one with at least `least` bits."""
    try:
        tags = parse(value)
    except DkimError as error:
        return (str(error),)
    return (*_key_problems(tags, least), *_tag_problems(tags))


def bits(value: str) -> int:
    """The size of the RSA key in a record. Raises DkimError."""
    return _modulus_bits(_decoded(parse(value)["p"]))


def _key_problems(tags: Mapping[str, str], least: int) -> tuple[str, ...]:
    if not tags["p"]:
        return ("p= is empty: the key is revoked",)
    try:
        data = _decoded(tags["p"])
        kind = tags.get("k", "rsa")
        if kind == "ed25519":
            return () if len(data) == 32 else (f"an ed25519 key of {len(data)} bytes, not 32",)
        if kind != "rsa":
            return (f"k={kind}, which no receiver knows",)
        size = _modulus_bits(data)
    except DkimError as error:
        return (str(error),)
    if size < LEAST_BITS:
        return (f"{size} bits: receivers ignore a key of less than {LEAST_BITS}",)
    return (f"{size} bits, and {least} are wanted",) if size < least else ()


def _tag_problems(tags: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    if "h" in tags and "sha256" not in _listed(tags["h"]):
        found.append(f"h={tags['h']} does not allow sha256, the only hash in use")
    if "s" in tags and not {"*", "email"} & set(_listed(tags["s"])):
        found.append(f"s={tags['s']} does not allow email")
    if "y" in _listed(tags.get("t", "")):
        found.append("t=y: testing, receivers may treat the mail as unsigned")
    return tuple(found)


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(":")]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DkimError("p= is no base64") from None


def _modulus_bits(data: bytes) -> int:
    """RFC 3279: SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { SEQUENCE { modulus, exponent } } }."""
    algorithm, key = _children(_content(data, 0x30), 0x30, 0x03)
    if not algorithm.startswith(b"\x06" + bytes([len(_RSA_OID)]) + _RSA_OID):
        raise DkimError("p= is no RSA key")
    modulus = _children(_content(key[1:], 0x30), 0x02, 0x02)[0]
    return int.from_bytes(modulus, "big").bit_length()


def _children(data: bytes, *tags: int) -> list[bytes]:
    found = []
    for tag in tags:
        content, data = _element(data, tag)
        found.append(content)
    return found


def _content(data: bytes, tag: int) -> bytes:
    return _element(data, tag)[0]


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first DER element, which has to be of this kind, and what follows it."""
    if len(data) < 2 or data[0] != tag:
        raise DkimError("p= is no RSA key")
    length, start = data[1], 2
    if length >= 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if start > 6 or len(data) < start + length:
        raise DkimError("p= is cut off")
    return data[start : start + length], data[start + length :]
