"""Which field an unknown column of a file probably holds: a suggestion, never a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.rules.attributes import plain_name
from schemas.rules.fields import FIELDS
from schemas.rules.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.rules.fields import Field

_LEAST_CHARACTERS: Final = 4
"""Of a name that is taken for a misspelt one: shorter ones are like too many others."""
_USUAL_NAMES: Final = {
    "firstName": (
        "Given Name, Forename, First, FName, Contact First Name, Vorname, Prénom, Nombre, Nome,"
        " Voornaam, Imię, Имя, 名"
    ),
    "lastName": (
        "Surname, Family Name, Last, LName, Contact Last Name, Nachname, Familienname, Nom,"
        " Nom de famille, Apellido, Apellidos, Cognome, Sobrenome, Achternaam, Nazwisko,"
        " Фамилия, 姓"
    ),
    "email": (
        "Email Address, E-mail Address, Primary Email, Subscriber Email, Contact Email, User Email,"
        " Customer Email, Work Email, E-mail 1 - Value, Email 1, Personal Email, Mail, $email,"
        " E-Mail-Adresse, Adresse e-mail, Adresse email, Courriel, Correo, Correo electrónico,"
        " E-mailadres, Indirizzo email, Endereço de e-mail, Adres e-mail, メールアドレス"
    ),
    "mobileNumber": (
        "Mobile, Mobile Phone, Mobile Phone Number, Cell, Cell Phone, Cellphone, SMS Phone Number,"
        " SMS Number, SMS, Phone Number, Phone, Phone 1 - Value, Primary Phone,"
        " Default Address Phone,"
        " WhatsApp, WhatsApp Number, Telephone, Telephone Number, Contact Number,"
        " $phone_number, Handy,"
        " Handynummer, Mobilnummer, Mobiltelefon, Telefon, Telefonnummer, Portable, Téléphone,"
        " Téléphone portable, Móvil, Teléfono, Celular, Cellulare, Telefono, Telefone, Telefoon"
    ),
    "country": (
        "Country/Region, Country Name, Country Code, Mailing Country, Home Country/Region,"
        " Home Country, Address 1 - Country, Billing Country, Default Address Country Code,"
        " Default Address Country, Location Country, Business Country/Region, Other Country,"
        " Shipping Country, Nation, $country, Land, Pays, País, Paese, Kraj, Страна, 国"
    ),
    "state": (
        "State/Region, State/Province, Mailing State, Mailing State/Province, Home State,"
        " Address 1 - Region, Billing State, Default Address Province Code,"
        " Default Address Province,"
        " Province, Region, County, State Code, Business State, Other State,"
        " Shipping State, $region,"
        " Bundesland, Kanton, Département, Provincia, Estado, Stato"
    ),
    "lastActiveDate": (
        "Last Active, Last Activity, Last Activity Date, Last Seen, Last Login, Last Changed,"
        " Last Open, Last Engaged, Last Active On, Last Contacted, Last Modified Date"
    ),
    "smsSubscription": (
        "Accepts SMS Marketing, SMS Consent, SMS Opt In, SMS Subscribed, SMS Marketing"
    ),
    "emailSubscription": (
        "Accepts Email Marketing, Accepts Marketing, Email Consent, Email Opt In, Subscribed,"
        " Email Subscribed, Newsletter, Email Marketing, Opt In"
    ),
    "voiceSubscription": "Voice Consent, Voice Opt In, Accepts Calls, Call Consent",
}
"""By field the names that Mailchimp, HubSpot, Salesforce, Google Contacts, Outlook, Klaviyo,
Shopify and people give to such a column, the likeliest first."""
_RANKED: Final = {
    plain_name(name): (field, rank)
    for field in FIELDS
    for rank, name in enumerate(_USUAL_NAMES[field.json_name].split(","))
}


_BESIDE: Final = {"cc": ("country", "euid")}
"""By name the field that it means beside another column: Mailchimp's two letters of a country."""
USUAL_NAMES: Final = frozenset(_RANKED)
"""Of other programs, as :func:`schemas.rules.attributes.plain_name` writes them."""


def usual_fields(unknown: Iterable[str], free: Iterable[Field]) -> dict[str, Field]:
    """Return by unknown name the field that other programs call so, each field once.

    ``free`` are the fields that no column of the file holds yet.
    """
    left = {field.json_name: field for field in free}
    names = sorted(unknown, key=_rank)
    plain_names = set(map(plain_name, names))
    found: dict[str, Field] = {}
    for name in names:
        meant, beside = _BESIDE.get(plain_name(name), ("", ""))
        if ranked := _RANKED.get(plain_name(name)):
            meant = ranked[0].json_name
        if (not beside or beside in plain_names) and meant in left:
            found[name] = left.pop(meant)
    return found


def suggested_fields(unknown: Iterable[str], free: Iterable[Field]) -> dict[str, Field]:
    """Return the same with those whose name is merely spelled otherwise."""
    names, fields = list(unknown), list(free)
    found = usual_fields(names, fields)
    left = {field.header: field for field in fields if field not in found.values()}
    for name in names:
        if name not in found and len(plain_name(name)) >= _LEAST_CHARACTERS:
            for header in nearest(name, left):
                found[name] = left.pop(header)
    return found


def _rank(name: str) -> int:
    return _RANKED.get(plain_name(name), (None, 0))[1]
