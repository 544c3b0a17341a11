// One join with a stopwatch: from the opened WebSocket to the first decoded frame of a participant who is already there.
import { initialize } from "/telnyx-video.mjs";

let openedAt;

globalThis.WebSocket = new Proxy(WebSocket, {
  construct(Socket, args) {
    const socket = new Socket(...args);
    socket.addEventListener("open", () => (openedAt = performance.now()));
    return socket;
  },
});

function firstFrame(track) {
  const video = Object.assign(document.createElement("video"), { srcObject: new MediaStream([track]), muted: true });
  document.body.append(video);
  void video.play();
  return new Promise((resolve) => video.requestVideoFrameCallback(resolve));
}

/** Milliseconds since the WebSocket opened at which each step was done. */
globalThis.measureJoin = async (config, publisher) => {
  const room = await initialize(config);
  const initialized = performance.now();
  await room.connect();
  const connected = performance.now();
  await room.addSubscription(publisher, "self", { audio: true, video: true });
  const subscribed = performance.now();
  await firstFrame(room.getParticipantStream(publisher, "self").videoTrack);
  const marks = { initialized, connected, subscribed, first_frame: performance.now() };
  await room.disconnect();
  return Object.fromEntries(Object.entries(marks).map(([name, at]) => [name, at - openedAt]));
};
