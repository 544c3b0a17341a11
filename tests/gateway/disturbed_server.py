"""`portico serve` whose clock and event loop a test can disturb from outside.

With libfaketime preloaded its clock is set by a file, and at each SIGUSR1 its main thread, and with it the event loop,
stands still for STALL_SECS.
"""

import os
import signal
import time

from portico.cli import main

STALL_SECS = 20.0

if __name__ == "__main__":
    os.environ.pop("LD_PRELOAD", None)  # libfaketime refuses to work in children that run as another user
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(STALL_SECS))
    main.main()
