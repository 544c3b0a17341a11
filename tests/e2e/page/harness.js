// What a test can make one person do and perceive: drives the unmodified SDK and looks at the media it delivers.
import * as Telnyx from "/telnyx-video.mjs";
import { camera, clapperboard, microphone } from "/sources.js";
import { Listener, Watcher } from "/senses.js";

const EVENTS = [
  "connected", "disconnected", "participant_joined", "participant_leaving", "participant_left", "stream_published",
  "stream_unpublished", "track_enabled", "track_disabled", "track_censored", "track_uncensored", "audio_activity",
  "subscription_started", "subscription_reconfigured", "subscription_ended", "message_received",
];
const SETTLES_WITHIN_MS = 15_000;
const PACKETS_TO_SEND = 10; // a fifth of a second

let room;
const notify = (name, ...args) => globalThis.reportToTest(name, args);
const listeners = new Map();
const watchers = new Map();
const devices = new Map();
const connections = []; // every peer connection that the SDK has made

globalThis.RTCPeerConnection = new Proxy(RTCPeerConnection, {
  construct: (Connection, settings) => connections[connections.push(new Connection(...settings)) - 1],
});

addEventListener("unhandledrejection", (event) => notify("page_error", String(event.reason?.stack ?? event.reason)));
addEventListener("error", (event) => notify("page_error", String(event.error?.stack ?? event.message)));

/** Rejects when the SDK leaves a promise open for ever: it has no error branch of its own. */
function within(promise, what, ms = SETTLES_WITHIN_MS) {
  const { promise: late, reject } = Promise.withResolvers();
  const timer = setTimeout(() => reject(new Error(`${what} had not settled after ${ms} ms`)), ms);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Opens the WebSocket and creates the Janus session; from here on every SDK event reaches the test. */
async function initialize(config, ms) {
  room = await within(Telnyx.initialize(config), "initialize", ms);
  for (const name of EVENTS) room.on(name, (...args) => notify(name, ...args.slice(0, -1)));
  return room.getLocalParticipant().id;
}

/** The tracks to publish under `key`, and a way to stop those that are no longer used. A tone that goes on keeps its microphone. */
function exchange(key, { tone, gain, colour, rate, simulcast } = {}) {
  const old = devices.get(key) ?? {};
  const goesOn = old.tone === tone && (gain ?? old.gain) === old.gain;
  const audio = goesOn ? old.audio : tone && microphone(tone, gain);
  const [width, height] = simulcast ? [640, 480] : [320, 240];
  const video = colour ? camera(colour, width, height, rate) : undefined;
  devices.set(key, { tone, gain: goesOn ? old.gain : gain, audio, video });
  const tracks = { audio, video: simulcast && video ? { track: video, options: { enableSimulcast: true } } : video };
  const stopOld = () => {
    if (!goesOn) old.audio?.stop();
    old.video?.stop();
  };
  return [tracks, stopOld];
}

async function publish(key, source) {
  const [tracks] = exchange(key, source);
  await within(room.addStream(key, tracks), "addStream");
}

async function clap(key, board) {
  const [audio, video] = clapperboard(board);
  devices.set(key, { audio, video });
  await within(room.addStream(key, { audio, video }), "addStream");
}

async function update(key, source) {
  const [tracks, stopOld] = exchange(key, source);
  await within(room.updateStream(key, tracks), "updateStream");
  stopOld();
}

/** As applications do it: the SDK keeps the track of a removed stream in its mixed audio until the application stops it. */
async function removeStream(key) {
  const [, stopOld] = exchange(key);
  await within(room.removeStream(key), "removeStream");
  stopOld();
}

const trackOf = (participantId, key, kind) => room.getParticipantStream(participantId, key)?.[`${kind}Track`];

/** One sense organ per track object: the SDK puts a new track in place when a subscription is made again. */
function organ(organs, Organ, track) {
  if (!organs.has(track)) organs.set(track, new Organ(track));
  return organs.get(track);
}

/** Received packets of a subscription by kind, out of the SDK's own statistics. */
async function packets(participantId, key) {
  const { receivers } = await room.getWebRTCStatsForStream(participantId, key);
  const count = (kind) =>
    Object.values(receivers[kind] ?? {}).reduce((sum, report) => sum + (report.type === "inbound-rtp" ? report.packetsReceived : 0), 0);
  return { audio: count("audio"), video: count("video") };
}

/** Resolves once a good many more packets have left: what is to be sent is on its way, and not only wanted. */
async function sends(sender) {
  const sent = async () => [...(await sender.getStats()).values()].find(({ type }) => type === "outbound-rtp")?.packetsSent ?? 0;
  const before = await sent();
  while ((await sent()) < before + PACKETS_TO_SEND) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Past the SDK, which keeps a censored microphone to itself: `tone` into everything that carries audio to the server. */
async function smuggle(tone) {
  const senders = connections
    .filter((connection) => connection.connectionState === "connected")
    .flatMap((connection) => connection.getTransceivers())
    .filter(({ receiver, direction }) => receiver.track.kind === "audio" && direction.startsWith("send"))
    .map(({ sender }) => sender);
  await Promise.all(senders.map((sender) => sender.replaceTrack(microphone(tone))));
  await Promise.all(senders.map((sender) => within(sends(sender), "smuggling")));
  return senders.length;
}

/** How many packets of audio the browser has sent, and received, over all its connections. */
async function traffic() {
  const count = { "outbound-rtp": 0, "inbound-rtp": 0 };
  for (const connection of connections)
    for (const report of (await connection.getStats()).values())
      if (report.kind === "audio" && report.type in count) count[report.type] += report.packetsSent ?? report.packetsReceived;
  return { sent: count["outbound-rtp"], received: count["inbound-rtp"] };
}

/** The local and the remote SDP of each connection. */
const descriptions = () =>
  connections.map(({ localDescription, remoteDescription }) => [localDescription?.sdp ?? "", remoteDescription?.sdp ?? ""]);

globalThis.person = {
  initialize,
  connect: (ms) => within(room.connect(), "connect", ms),
  startConnecting: () => void room.connect().catch((error) => notify("connect_failed", String(error))),
  publish,
  clap,
  update,
  removeStream,
  subscribe: (id, key, kinds) => within(room.addSubscription(id, key, kinds), "addSubscription"),
  updateSubscription: (id, key, kinds) => within(room.updateSubscription(id, key, kinds), "updateSubscription"),
  unsubscribe: (id, key) => within(room.removeSubscription(id, key), "removeSubscription"),
  updateToken: (token) => within(room.updateClientToken(token), "updateClientToken"),
  send: (message, recipients) => within(room.sendMessage(message, recipients), "sendMessage"),
  leave: () => within(room.disconnect(), "disconnect"),
  packets,
  smuggle,
  traffic,
  descriptions,
  /** The mixed audio of the room, as the SDK hands it to applications. */
  mix: (expected, ms) => organ(listeners, Listener, room.getState().mixedAudioTrack).receives(expected, ms),
  tones: (id, key, expected, ms) => organ(listeners, Listener, trackOf(id, key, "audio")).receives(expected, ms),
  numbers: (id, key, ms) => organ(watchers, Watcher, trackOf(id, key, "video")).numbers(ms),
  sees: (id, key, colour, ms) => organ(watchers, Watcher, trackOf(id, key, "video")).sees(colour, ms),
  /** Who is there and what they publish, as the SDK's state has it. */
  roster: () =>
    [...room.getState().participants.values()].map(({ id, context, streams, origin, canReceiveMessages }) => ({
      id, context, origin, canReceiveMessages, streams: Object.keys(streams),
    })),
  stream: (id, key) => {
    const { audioTrack, videoTrack, ...rest } = room.getParticipantStream(id, key) ?? {};
    return rest;
  },
};
