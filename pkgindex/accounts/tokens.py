"""The form of a token: prefix, 256 random bits, checksum. Imports no Django and does no I/O.

The prefix is our own so that secret scanners report a leak to us and not to PyPI; the checksum tells a mistyped or
invented token from a real one before anything is asked.
"""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "pkgi_"
BODY_LENGTH = 43  # base62 digits that hold 256 bits
CHECKSUM_LENGTH = 6  # base62 digits that hold a CRC-32
HINT_LENGTH = 12

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{BODY_LENGTH + CHECKSUM_LENGTH}}}")


def generate() -> str:
    """A new secret."""
    return seal(secrets.randbits(256))


def seal(number: int) -> str:
    """The secret for a number below 2**256: always of the same length."""
    unchecked = PREFIX + _base62(number, BODY_LENGTH)
    return unchecked + _checksum(unchecked)


def digest(secret: str) -> str:
    """What is stored and looked up: the SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hint(secret: str) -> str:
    """The first characters, by which people tell their tokens apart; too few to help a guess."""
    return secret[:HINT_LENGTH]


def is_well_formed(secret: str) -> bool:
    """True where prefix, length, alphabet and checksum are right."""
    if not _FORM.fullmatch(secret):
        return False
    return _checksum(secret[:-CHECKSUM_LENGTH]) == secret[-CHECKSUM_LENGTH:]


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), CHECKSUM_LENGTH)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits.append(_DIGITS[rest])
    return "".join(reversed(digits))
