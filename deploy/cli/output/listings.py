"""Prints lists that the API answers by pages, as tables or JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.cli.output.tables import next_page, output, print_json, print_table
from deploy.cli.session import api


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of the API: its path, the answer's field with its entries, and the columns shown."""

    path: str
    entries: str
    title: str
    columns: Sequence[str]

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
        title = f"{answer['total']} {self.title}{next_page(answer, self.entries, query)}"
        print_table(output(), title, self.columns, entries)
        return entries
