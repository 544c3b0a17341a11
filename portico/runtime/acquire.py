"""Acquire something that has to be released, also when the acquiring task is cancelled meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def take(taking: Coroutine[Any, Any, T], give_back: Callable[[T], Awaitable[None]]) -> T:
    """The result of `taking`. If this task is cancelled meanwhile, wait for the result and pass it to `give_back`."""
    task = asyncio.create_task(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if task.exception() is None:
            await give_back(task.result())
        raise
