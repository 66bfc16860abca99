"""Prints lists that the API answers by pages, as tables or JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.cli.output.tables import counted, next_page, output, print_json, print_list
from deploy.cli.session import api


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of the API: its path, the answer's field with its entries, and the columns shown.

    ``noun`` is what one entry is, ``hint`` what makes one where there is none.
    """

    path: str
    entries: str
    noun: str
    columns: Sequence[str]
    hint: str

    def show(
        self, url: str, query: Mapping[str, Any], *, as_json: bool
    ) -> Sequence[Mapping[str, Any]]:
        """Print the page that the query asks for, and returns its entries.

        Raises:
            CommandError: The API refused it or could not be reached.
        """
        with api(url) as client:
            answer = client.get(self.path, query)
        entries: list[Mapping[str, Any]] = answer[self.entries]
        if as_json:
            print_json(answer)
            return entries
        title = counted(answer["total"], self.noun) + next_page(answer, self.entries, query)
        print_list(output(), title, self.columns, entries, hint=self.hint)
        return entries
