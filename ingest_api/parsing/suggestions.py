"""Which field an unknown column of a file probably holds: a suggestion, never a decision."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from schemas.rules.attributes import plain_name
from schemas.rules.characters import HIDDEN, SPACES
from schemas.rules.fields import FIELDS, OPPOSITES
from schemas.rules.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.rules.fields import Field

_LEAST_CHARACTERS: Final = 4
"""Of a name that is taken for a misspelt one: shorter ones are like too many others."""
_LEAST_LIKENESS: Final = 0.75
"""Of a misspelt name: Status is like State, and Suppressions like Subscription."""
_USUAL_NAMES: Final = {
    "firstName": (
        "Given Name, Forename, First, FName, Contact First Name, Person First Name,"
        " Billing First Name, Vorname, Prénom, Nombre, Nome, Voornaam, Imię, Имя, 名"
    ),
    "lastName": (
        "Surname, Family Name, Last, LName, Contact Last Name, Person Last Name,"
        " Billing Last Name, Nachname, Familienname, Nom,"
        " Nom de famille, Apellido, Apellidos, Cognome, Sobrenome, Achternaam, Nazwisko,"
        " Фамилия, 姓"
    ),
    "email": (
        "Email Address, E-mail Address, Primary Email, Subscriber Email, Contact Email, User Email,"
        " Customer Email, Work Email, E-mail 1 - Value, Email 1, Personal Email,"
        " Email Home, Email Work, Person Email, Person Email Work, Billing Email, Emails,"
        " Subscriber, Mail, $email,"
        " E-Mail-Adresse, Adresse e-mail, Adresse email, Courriel, Correo, Correo electrónico,"
        " E-mailadres, Indirizzo email, Endereço de e-mail, Adres e-mail, メールアドレス"
    ),
    "mobileNumber": (
        "Mobile, Mobile Phone, Mobile Phone Number, Cell, Cell Phone, Cellphone, SMS Phone Number,"
        " Phone Mobile, Phone iPhone, Person Phone Mobile, SMS Number, SMS, Phone Number, Phone,"
        " Phone 1 - Value, Primary Phone, Person Phone, Person Phone Work, Billing Phone,"
        " Default Address Phone,"
        " WhatsApp, WhatsApp Number, Telephone, Telephone Number, Contact Number,"
        " $phone_number, Handy,"
        " Handynummer, Mobilnummer, Mobiltelefon, Telefon, Telefonnummer, Portable, Téléphone,"
        " Téléphone portable, Móvil, Teléfono, Celular, Cellulare, Telefono, Telefone, Telefoon"
    ),
    "country": (
        "Country/Region, Country Name, Country Code, Mailing Country, Home Country/Region,"
        " Home Country, Country Home, Address 1 - Country, Address 1 Country/Region,"
        " Address Country, Billing Country, Shipping Address Country, Billing Address Country,"
        " Card Address Country, Default Address Country Code,"
        " Default Address Country, Location Country, Business Country/Region, Other Country,"
        " Shipping Country, Nation, $country, Land, Pays, País, Paese, Kraj, Страна, 国"
    ),
    "state": (
        "State/Region, State/Province, Mailing State, Mailing State/Province, Home State,"
        " State/Province Home, Address 1 - Region, Address 1 State/Province, Address State,"
        " State or Province, State Province Region, Billing State, Shipping Address State,"
        " Billing Address State, Default Address Province Code,"
        " Default Address Province,"
        " Province, Region, County, State Code, Business State, Other State,"
        " Shipping State, $region,"
        " Bundesland, Kanton, Département, Provincia, Estado, Stato"
    ),
    "lastActiveDate": (
        "Last Active, Last Active At, Last Activity, Last Activity Date, Last Activity Time,"
        " Person Last Activity Date, Last Seen, Last Seen At, Last Login, Last Login At,"
        " Last Login Date, Last Sign In, Last Sign In At, Date of Last Session, Last Visit,"
        " Last Changed, Last Open, Last Engaged, Last Active On, Last Contacted, Last Modified Date"
    ),
    "smsSubscription": (
        "Accepts SMS Marketing, SMS Marketing Consent, SMS Marketing Status, SMS Consent,"
        " SMS Opt In, SMS Subscribed, SMS Marketing"
    ),
    "emailSubscription": (
        "Accepts Email Marketing, Accepts Marketing, Email Marketing Consent,"
        " Email Marketing Status, Email Consent, Email Opt In, Email Subscribe, Subscribed,"
        " Email Subscribed, Globally Subscribed, Newsletter, Email Marketing, Opt In"
    ),
    "voiceSubscription": "Voice Consent, Voice Opt In, Accepts Calls, Call Consent",
    "!smsSubscription": (
        "SMS Opt Out, Opt Out SMS, SMS Opted Out, Opted Out of SMS, Has Opted Out Of SMS,"
        " SMS Blacklisted, SMS Blocklisted, SMS Unsubscribed, Unsubscribed from SMS,"
        " Unsubscribed from all SMS, Do Not SMS, Do Not Text"
    ),
    "!emailSubscription": (
        "Unsubscribed from all email, Unsubscribed from all emails, Unsubscribed from email,"
        " Unsubscribed from emails, Email Opt Out, Opt Out Email, Email Opted Out,"
        " Opted Out of Email, Has Opted Out Of Email, Person Has Opted Out Of Email,"
        " Email Blacklisted, Email Blocklisted, Email Unsubscribed, Do Not Email, Unsubscribed"
    ),
    "!voiceSubscription": (
        "Do Not Call, Person Do Not Call, Do Not Phone, Call Opt Out, Voice Opt Out, Phone Opt Out,"
        " Opted Out of Calls, Unsubscribed from calls"
    ),
}
"""By field the names that other programs and people give to such a column, the likeliest first.

They are those of Mailchimp, HubSpot, Salesforce, Google Contacts, Outlook, Klaviyo, Shopify,
Brevo, SendGrid, Constant Contact, Intercom, Pipedrive, Zoho, Apple, Stripe, Eventbrite,
WooCommerce, Segment, Braze, Iterable, Eloqua, Dynamics, MailerLite and Omnisend; those after ``!``
say who has opted out.
"""
_MARKS: Final = re.compile(r"[\s_*:.?/'\"-]+")
_ADDED: Final = re.compile(
    r"[\[(](?:required|mandatory|optional|read only|iso)[\])]", re.IGNORECASE
)
_ASKED: Final = re.compile(r"^(?:what'?s |what is |(?:please )?enter )?your[ _-]", re.IGNORECASE)
"""What people write around the name of a column."""


def _shown_name(name: str) -> str:
    """Return what a name says, without how it is written."""
    seen = "".join(character for character in name if character not in HIDDEN - SPACES)
    shown = unicodedata.normalize("NFKC", seen).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _MARKS.sub("", _ASKED.sub("", _ADDED.sub("", shown))).lower()


_RANKED: Final = {
    _shown_name(name): (field, rank)
    for field in (*FIELDS, *OPPOSITES)
    for rank, name in enumerate([field.header, *_USUAL_NAMES[field.json_name].split(",")])
}
_BESIDE: Final = {"cc": ("country", "euid")}
"""By name the field that it means beside another column: Mailchimp's two letters of a country."""
_NOT_BESIDE: Final = {"subscribed": "subscriber", "unsubscribed": "subscriber"}
"""By name that beside which it means no field: with MailerLite, a date."""
_OPT_OUT: Final = re.compile(
    r"unsub|opt(ed)?out|donot(allow|call|contact|e?mail|sms)|bl[ao]cklist|suppress|bounced|cleaned"
)
USUAL_NAMES: Final = frozenset(
    plain_name(name) for names in _USUAL_NAMES.values() for name in names.split(",")
)
"""Of other programs, as :func:`schemas.rules.attributes.plain_name` writes them."""


def usual_fields(unknown: Iterable[str], free: Iterable[Field]) -> dict[str, Field]:
    """Return by unknown name the field that other programs call so, each field once.

    ``free`` are the fields that no column of the file holds yet.
    """
    left = {field.json_name: field for field in free}
    names = sorted(unknown, key=_rank)
    shown_names = set(map(_shown_name, names))
    found: dict[str, Field] = {}
    for name in names:
        shown = _shown_name(name)
        meant, beside = _BESIDE.get(shown, ("", ""))
        if ranked := _RANKED.get(shown):
            meant = ranked[0].json_name
        is_meant = not beside or beside in shown_names
        if is_meant and _NOT_BESIDE.get(shown) not in shown_names and meant in left:
            found[name] = left.pop(meant)
    return found


_MOST_COMPARED: Final = 100
"""Each name is compared with each field, which takes a millisecond or more."""


def suggested_fields(unknown: Iterable[str], free: Iterable[Field]) -> dict[str, Field]:
    """Return the same with those whose name is merely spelled otherwise."""
    names, fields = list(unknown), list(free)
    found = usual_fields(names, fields)
    near = (field for field in fields if field not in OPPOSITES and field not in found.values())
    left = {field.header: field for field in near}
    for name in names[:_MOST_COMPARED]:
        if name not in found and len(plain_name(name)) >= _LEAST_CHARACTERS:
            for header in nearest(name, left, least_likeness=_LEAST_LIKENESS):
                found[name] = left.pop(header)
    return found


def seems_opt_out(name: str) -> bool:
    """Return whether a column of this name may say who has opted out."""
    return _OPT_OUT.search(_shown_name(name)) is not None


def _rank(name: str) -> int:
    return _RANKED.get(_shown_name(name), (None, 0))[1]
