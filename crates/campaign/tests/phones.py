"""Lets the Python port of Google's libphonenumber parse example numbers of every region, and mutations of them.

Prints one JSON object a line for each number: the region, the text, the default region (or null), and the number in E.164
as libphonenumber parses it (null if it is not valid).
"""

import json
import random
import sys

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

TYPES = [kind for kind in PhoneNumberType.values() if kind not in (PhoneNumberType.UNKNOWN,)]
random.seed(20261122)


def parse(text, default):
    """The number in E.164, or None if it is not valid."""
    try:
        number = phonenumbers.parse(text, default)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def mutations(digits):
    """Wrong numbers from the digits after the `+`: one digit removed, added or changed, or two swapped."""
    yield digits[:-1]
    yield digits + "0"
    for _ in range(6):
        at = random.randrange(1, len(digits))
        yield digits[:at] + str(random.randrange(10)) + digits[at + 1:]
    at = random.randrange(len(digits) - 1)
    yield digits[:at] + digits[at + 1] + digits[at] + digits[at + 2:]


def cases(region):
    """Yields text, default region, and the text that libphonenumber parses instead (None for the same)."""
    examples = [phonenumbers.example_number_for_type(region, kind) for kind in TYPES]
    examples = [number for number in examples if number is not None]
    invalid = phonenumbers.invalid_example_number(region)
    for number in examples + ([invalid] if invalid else []):
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        digits = e164[1:]
        yield e164, None, e164
        yield phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL), None, None
        national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        yield national, region, None
        yield "".join(c for c in national if c.isdigit()), region, None
        yield phonenumbers.national_significant_number(number), region, None
        # Digits without a plus: Crier reads them like digits with one.
        yield digits, None, e164
        yield "00" + digits, None, e164
        for mutated in mutations(digits):
            yield "+" + mutated, None, None
        for mutated in mutations("0" + phonenumbers.national_significant_number(number)):
            yield mutated, region, None


for region in sorted(phonenumbers.SUPPORTED_REGIONS):
    seen = set()
    for text, default, parsed_as in cases(region):
        if (text, default) in seen or any(c.isalpha() for c in text) or text[:2] == "00" and default:
            continue
        seen.add((text, default))
        line = {"region": region, "text": text, "default": default, "e164": parse(parsed_as or text, default)}
        json.dump(line, sys.stdout)
        print()
