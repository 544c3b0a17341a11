"""A pipeline of Pipecat with local parts: an energy detector, and a tone as the answer of the bot."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams
from pipecat.frames.frames import (
    Frame,
    InputTransportMessageFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_processor import UserTurnProcessor
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from portico.client.pipecat import PorticoTransport
from tests.waiting import until

RATE = 24_000
"""Samples per second of the bot's voice, as of most synthesisers: the transport resamples it."""
ANSWER_HERTZ = 1000
ANSWER_SECS = 30.0
"""The length of the bot's answer: longer than any test lets it speak."""
STOP_SECS = 0.2
"""Silence that ends a turn: the detector's default."""


class EnergyDetector(VADAnalyzer):
    """A voice detector that takes any sound for speech."""

    def num_frames_required(self) -> int:
        return self.sample_rate // 50

    def voice_confidence(self, buffer: bytes) -> float:
        return float(np.abs(np.frombuffer(buffer, "<i2")).mean() > 500)


class Answer(FrameProcessor):
    """Stands for STT, LLM and TTS: when the participant stops speaking, the bot answers with a tone."""

    def __init__(self) -> None:
        super().__init__()
        self.interruptions: list[float] = []
        """The instants of all interruptions, by the event loop's clock."""
        self.messages: list[Any] = []

    async def interrupted(self, times: int) -> None:
        """Wait until the pipeline was interrupted so many times."""
        await until(lambda: len(self.interruptions) >= times)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self.interruptions.append(asyncio.get_running_loop().time())
        elif isinstance(frame, InputTransportMessageFrame):
            self.messages.append(frame.message)
        await self.push_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame) and direction is FrameDirection.DOWNSTREAM:
            await self.push_frame(TTSStartedFrame())
            await self.push_frame(TTSAudioRawFrame(audio=_ANSWER, sample_rate=RATE, num_channels=1))
            await self.push_frame(TTSStoppedFrame())


_TIMES = np.arange(int(ANSWER_SECS * RATE)) / RATE
_ANSWER = (np.sin(2 * np.pi * ANSWER_HERTZ * _TIMES) * 0.3 * 32767).astype("<i2").tobytes()


@contextlib.asynccontextmanager
async def running(transport: PorticoTransport, answer: Answer) -> AsyncIterator[PipelineWorker]:
    """Run the pipeline while the block runs; cancel it at the end, if it has not ended before."""
    detector = VADProcessor(vad_analyzer=EnergyDetector(params=VADParams(stop_secs=STOP_SECS, min_volume=0.0)))
    stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0, wait_for_transcript=False)
    turns = UserTurnProcessor(user_turn_strategies=UserTurnStrategies(start=[VADUserTurnStartStrategy()], stop=[stop]))
    worker = PipelineWorker(Pipeline([transport.input(), detector, turns, answer, transport.output()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        yield worker
    finally:
        await worker.cancel()
        async with asyncio.timeout(20):
            await running
