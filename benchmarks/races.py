"""Whether exactly 10 of 200 joins from several processes get into a room of 10, many times, on both databases."""

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.machine import machine

RACE = "tests/services/test_races.py::test_two_hundred_from_four_processes_race_for_a_room_of_ten"


class Race:
    """A pytest plugin: the test of the suite, with more rounds."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.figures: dict[str, Any] = {"machine": machine(), "rounds": rounds}
        self._joins = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        """Called by pytest with the same test for each database."""
        races: ModuleType = items[0].module
        races.ROUNDS_OF_ALL = self.rounds  # type: ignore[attr-defined]
        self._joins = self.rounds * races.RACERS_OF_ALL
        self.figures |= {"joins": self._joins, "processes": races.PROCESSES, "places": races.PLACES}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest for each phase of each test."""
        if report.when == "call":
            database = report.nodeid.rpartition("[")[2].rstrip("]")
            self.figures[f"{database}_exact_each_time"] = report.passed
            self.figures[f"{database}_joins_per_sec"] = round(self._joins / report.duration)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    race = Race(arguments.rounds)
    code = pytest.main(["-q", "-p", "no:cacheprovider", "--timeout=0", RACE], plugins=[race])
    for name, figure in race.figures.items():
        print(f"{name:26} {figure}")
    if arguments.json:
        arguments.json.write_text(json.dumps(race.figures, indent=1))
    sys.exit(code)


if __name__ == "__main__":
    main()
