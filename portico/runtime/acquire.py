"""Acquires resources so that they are released also when the acquiring task is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def take(taking: Coroutine[Any, Any, T], give_back: Callable[[T], Awaitable[None]]) -> T:
    """Await `taking`. If this task is cancelled meanwhile, wait for its result and pass that to `give_back`."""
    task = asyncio.create_task(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if task.exception() is None:
            await give_back(task.result())
        raise
