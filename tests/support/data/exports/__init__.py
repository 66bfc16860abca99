"""Files in the shapes of other programs' exports, under the headers that they have by default."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
MEANT: Final[dict[str, dict[str, str]]] = {
    "mailchimp": {
        "Email Address": "Email",
        "First Name": "First Name",
        "Last Name": "Last Name",
        "Phone Number": "Mobile Number",
        "CC": "Country",
        "REGION": "State",
        "LAST_CHANGED": "Last Active Date",
    },
    "hubspot": {
        "First Name": "First Name",
        "Last Name": "Last Name",
        "Email": "Email",
        "Mobile Phone Number": "Mobile Number",
        "Last Activity Date": "Last Active Date",
        "Country/Region": "Country",
        "State/Region": "State",
    },
    "salesforce": {
        "First Name": "First Name",
        "Last Name": "Last Name",
        "Mailing State/Province": "State",
        "Mailing Country": "Country",
        "Mobile": "Mobile Number",
        "Email": "Email",
        "Last Activity": "Last Active Date",
    },
    "google-contacts": {
        "First Name": "First Name",
        "Last Name": "Last Name",
        "E-mail 1 - Value": "Email",
        "Phone 1 - Value": "Mobile Number",
        "Address 1 - Region": "State",
        "Address 1 - Country": "Country",
    },
    "excel": {
        "Vorname": "First Name",
        "Nachname": "Last Name",
        "E-Mail": "Email",
        "Telefon": "Mobile Number",
        "Land": "Country",
        "Bundesland": "State",
    },
}
"""By export the field that each of its columns holds; the others hold none."""


def export(name: str) -> bytes:
    """The file of this export."""
    return (FOLDER / f"{name}.csv").read_bytes()
