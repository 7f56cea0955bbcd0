"""A mail is read as Python reads it, whatever its boundary is."""

import email

import pytest

from deliverability.dmarc import mail

OWN = "===============0123456789=="
HEAD = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{OWN}"\n\n'
PART = f"--{OWN}\nContent-Type: text/plain\n\n<feedback/>\n"
END = f"--{OWN}--\n"
BODIES = {
    "plain": PART * 2 + END,
    "text before and after": f"before\n{PART}{END}after\n",
    "no end": PART * 2,
    "nothing": "",
    "blanks after it": PART.replace(f"{OWN}\n", f"{OWN}  \n") + END,
    "no delimiter, but nearly": f"{PART}--{OWN}x\n{END}",
    "in a text": f"{PART}see {OWN}\n{END}",
    "in a text that begins like a delimiter": f"{PART}--{OWN} is the boundary\n{END}",
    "the other boundary": f"{PART}--{mail._KNOWN_BOUNDARY.decode()}\n{END}",
    "the other boundary's end": f"{PART}--{mail._KNOWN_BOUNDARY.decode()}--\n{END}",
    "within another one": f'{PART}--{OWN}\nContent-Type: multipart/mixed; boundary="{OWN}x"\n\n--{OWN}x\n\ntext\n{END}',
}


def texts(message: email.message.Message) -> list[tuple[str, object]]:
    return [(part.get_content_type(), part.get_payload(decode=True)) for part in message.walk()]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_boundary_makes_no_difference(body: str, end: str) -> None:
    raw = (HEAD + body).replace("\n", end).encode()
    assert texts(mail.parse(raw)) == texts(email.message_from_bytes(raw))


def test_that_of_a_usual_mail_is_known() -> None:
    assert mail._KNOWN_BOUNDARY in mail._with_known_boundary((HEAD + BODIES["plain"]).encode())
