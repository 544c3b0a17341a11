"""Random identifiers: what they look like, and that none comes twice, in threads and in forked processes either."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

from portico.runtime.ids import new_id

COUNT = 2000
"""More than one fetch of random bytes makes."""
_FORK = """
import os
from portico.runtime.ids import new_id
new_id()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, new_id().encode())
    os._exit(0)
os.wait()
print(os.read(read, 36).decode(), new_id())
"""


def test_they_are_random_uuids_and_written_as_python_writes_them() -> None:
    made = [new_id() for _ in range(COUNT)]
    for each in made:
        parsed = UUID(each)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, RFC_4122, each)
    varying = [len({each[position] for each in made}) for position in range(36)]
    assert [count for position, count in enumerate(varying) if position not in (8, 13, 14, 18, 19, 23)] == [16] * 30
    assert {each[19] for each in made} == set("89ab")


def test_threads_never_make_the_same() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: [new_id() for _ in range(COUNT)], range(8)))
    assert len({each for of_thread in made for each in of_thread}) == 8 * COUNT


def test_a_forked_process_makes_others_than_its_parent() -> None:
    done = subprocess.run([sys.executable, "-c", _FORK], capture_output=True, text=True, check=True)
    of_child, of_parent = done.stdout.split()
    assert of_child != of_parent
