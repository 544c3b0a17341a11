"""`portico serve` whose AudioBridge mixes at the sampling rate that the first argument names."""

import sys
from typing import Any

from portico.cli.main import main
from portico.signaling import control
from portico.signaling.control import MediaRoom

_creations = control.creations


def _at_rate(rate: int) -> None:
    # No setting of the server: the figures that this is for say that the rate matters little.
    def creations(room: MediaRoom, admin_key: str, mjr_folder: str) -> list[tuple[str, dict[str, Any]]]:
        made = _creations(room, admin_key, mjr_folder)
        return [(plugin, {**body, "sampling_rate": rate} if "sampling_rate" in body else body) for plugin, body in made]

    control.creations = creations


if __name__ == "__main__":
    _at_rate(int(sys.argv.pop(1)))
    sys.argv.insert(1, "serve")
    main()
