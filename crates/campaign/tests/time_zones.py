"""Prints the time zones of phone numbers, as Google's libphonenumber has them: `src/import/phone/time_zones.txt`.

A line has zones, then the prefixes of the numbers that have them; the longest prefix of a number counts. A prefix is left out
if mobile numbers that belong to no place begin with it, too: libphonenumber itself gives those the zones of the whole
country. In North America every prefix stays: an area code of Jamaica is no reason to wait for Guam.
"""

import random

import phonenumbers
from phonenumbers import PhoneNumberType
from phonenumbers.tzdata import TIMEZONE_DATA

NORTH_AMERICA = "1"

# Mobile numbers of Kazakhstan; without this they had the zones of Russia, too.
KEPT = {"77"}

# How many random numbers are tried per prefix.
TRIES = 200


def mobiles_without_a_place():
    """The lengths of mobile numbers that belong to no place, by country code."""
    found = {}
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
        if example is not None and not phonenumbers.is_number_geographical(example):
            lengths = found.setdefault(str(example.country_code), set())
            lengths.add(len(str(example.national_number)))
    return found


def is_shared(prefix, code, lengths):
    """Whether a mobile number that belongs to no place begins so."""
    random.seed(prefix)
    for length in sorted(lengths):
        missing = len(code) + length - len(prefix)
        for _ in range(TRIES if missing > 0 else 0):
            digits = prefix + "".join(random.choice("0123456789") for _ in range(missing))
            try:
                number = phonenumbers.parse("+" + digits, None)
            except phonenumbers.NumberParseException:
                continue
            is_mobile = phonenumbers.number_type(number) == PhoneNumberType.MOBILE
            if is_mobile and not phonenumbers.is_number_geographical(number):
                return True
    return False


def prefixes():
    """Zones by beginning, without those that a shorter beginning gives, too."""
    mobiles = mobiles_without_a_place()
    kept = {}
    for prefix in sorted(TIMEZONE_DATA, key=lambda prefix: (len(prefix), prefix)):
        shorter = [prefix[:length] for length in range(len(prefix) - 1, 0, -1)]
        parent = next((beginning for beginning in shorter if beginning in kept), None)
        if parent is not None and kept[parent] == TIMEZONE_DATA[prefix]:
            continue
        code = next((beginning for beginning in [prefix, *shorter] if beginning in mobiles), None)
        is_place = parent is None or prefix in KEPT or prefix.startswith(NORTH_AMERICA)
        if is_place or code is None or not is_shared(prefix, code, mobiles[code]):
            kept[prefix] = TIMEZONE_DATA[prefix]
    return kept


def main():
    by_zones = {}
    for prefix, zones in prefixes().items():
        by_zones.setdefault(zones, []).append(prefix)
    for zones, found in sorted(by_zones.items()):
        print(",".join(zones), *sorted(found))


main()
