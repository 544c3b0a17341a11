"""Every Janus of this machine, and nodes that are stopped when their test ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from portico.janus.node import JanusNode, JanusSettings

MakeNode = Callable[..., JanusNode]


class Losses(list[str]):
    """A callback for on_lost that keeps the reasons, in order."""

    async def __call__(self, reason: str) -> None:
        self.append(reason)


@pytest.fixture
def losses() -> Losses:
    return Losses()


@pytest.fixture
async def make_node(tmp_path: Path, losses: Losses) -> AsyncIterator[MakeNode]:
    """Makes nodes that are not started; each is stopped, and no task may be left, when the test ends."""
    before = asyncio.all_tasks()
    made: list[JanusNode] = []

    def make(**settings: object) -> JanusNode:
        node = JanusNode(JanusSettings(**{"data_dir": tmp_path, **settings}), on_lost=losses)  # type: ignore[arg-type]
        made.append(node)
        return node

    yield make
    for node in made:
        await node.stop()
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}


@pytest.fixture
async def node(make_node: MakeNode, janus_binary: Path) -> JanusNode:
    """A node that is up."""
    started = make_node(binary=janus_binary)
    await started.start()
    return started
