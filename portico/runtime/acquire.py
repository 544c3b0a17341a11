"""Taking something that somebody has to give back: also when whoever wanted it is cancelled in the middle."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def take(taking: Coroutine[Any, Any, T], give_back: Callable[[T], Awaitable[None]]) -> T:
    """What `taking` returns. Cancelled meanwhile, we wait for it, and give back what nobody wants any more."""
    task = asyncio.create_task(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if task.exception() is None:
            await give_back(task.result())
        raise
