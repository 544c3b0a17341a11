/** Ten seconds of picture and sound through the server and back: figures from the browser's statistics. */
import type { PathTest } from "./path_test";
import type { Quality } from "./results";
import { FRAMES_PER_SEC, type Sources } from "./sources";

export const SECS = 10;
const PERIOD_MILLIS = 500;
/** The browser sends slowly at first and finds out what the network carries; those seconds do not count. */
const WARM_UP_SECS = 3;
/** Bits per second; the server asks for as much. */
const BITRATE_MAX = 1_000_000;

/** Below this share of the pictures, the device and not the network bounds the rate. */
const DRAWN_MIN = 0.6;

/** One point of the graph. */
export interface Sample {
  /** Seconds since the beginning. */
  at: number;
  /** Bits per second. */
  up: number;
  down: number;
}

interface Counters {
  at: number;
  bytesUp: number;
  bytesDown: number;
  packetsUp: number;
  packetsDown: number;
  lostUp: number | undefined;
  lostDown: number | undefined;
  rttMillis: number | undefined;
  jitterMillis: number | undefined;
  drawn: number;
  /** Whether the encoder says that the processor bounds it; browsers other than Chromium do not say. */
  isSlow: boolean;
}

/** Send the picture on this path for SECS, and call `onSample` with each point. */
export async function measure(test: PathTest, sources: Sources, onSample: (sample: Sample) => void): Promise<Quality> {
  await test.video.replaceTrack(sources.picture);
  const parameters = test.video.getParameters();
  for (const encoding of parameters.encodings) encoding.maxBitrate = BITRATE_MAX;
  await test.video.setParameters(parameters);

  const first = await countersOf(test.connection, sources);
  const all = [first];
  while ((all.at(-1) as Counters).at - first.at < SECS * 1000) {
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MILLIS));
    const [last, now] = [all.at(-1) as Counters, await countersOf(test.connection, sources)];
    all.push(now);
    onSample({ at: (now.at - first.at) / 1000, up: rate(last, now, "bytesUp"), down: rate(last, now, "bytesDown") });
  }
  const warm = all.find((counters) => counters.at - first.at >= WARM_UP_SECS * 1000) ?? first;
  return qualityOf(test.path, warm, all);
}

function qualityOf(path: Quality["path"], from: Counters, all: Counters[]): Quality {
  const to = all.at(-1) as Counters;
  const isBusy = to.isSlow || ((to.drawn - from.drawn) * 1000) / (to.at - from.at) < FRAMES_PER_SEC * DRAWN_MIN;
  return {
    path,
    isBusy,
    rttMillis: median(all.map((counters) => counters.rttMillis)),
    jitterMillis: isBusy ? undefined : median(all.map((counters) => counters.jitterMillis)),
    lossUp: share(from.lostUp, to.lostUp, to.packetsUp - from.packetsUp),
    // Packets that arrive and packets that are lost were sent.
    lossDown: share(from.lostDown, to.lostDown, to.packetsDown - from.packetsDown + (to.lostDown ?? 0) - (from.lostDown ?? 0)),
    rateUp: isBusy ? undefined : rate(from, to, "bytesUp"),
    rateDown: isBusy ? undefined : rate(from, to, "bytesDown"),
  };
}

async function countersOf(connection: RTCPeerConnection, sources: Sources): Promise<Counters> {
  const found: Counters = {
    ...{ at: performance.now(), bytesUp: 0, bytesDown: 0, packetsUp: 0, packetsDown: 0 },
    ...{ lostUp: undefined, lostDown: undefined, rttMillis: undefined, jitterMillis: undefined },
    ...{ drawn: sources.drawn, isSlow: false },
  };
  (await connection.getStats()).forEach((report: Record<string, unknown>) => {
    const figure = (name: string): number | undefined => (typeof report[name] === "number" ? (report[name] as number) : undefined);
    switch (report.type) {
      case "outbound-rtp":
        found.bytesUp += figure("bytesSent") ?? 0;
        found.packetsUp += figure("packetsSent") ?? 0;
        found.isSlow ||= report.qualityLimitationReason === "cpu";
        break;
      case "inbound-rtp":
        found.bytesDown += figure("bytesReceived") ?? 0;
        found.packetsDown += figure("packetsReceived") ?? 0;
        found.lostDown = sum(found.lostDown, figure("packetsLost"));
        found.jitterMillis = max(found.jitterMillis, millis(figure("jitter")));
        break;
      case "remote-inbound-rtp":
        found.lostUp = sum(found.lostUp, figure("packetsLost"));
        break;
      case "candidate-pair":
        if (report.nominated === true || report.selected === true) found.rttMillis = max(found.rttMillis, millis(figure("currentRoundTripTime")));
        break;
    }
  });
  return found;
}

function rate(from: Counters, to: Counters, name: "bytesUp" | "bytesDown"): number {
  return to.at > from.at ? ((to[name] - from[name]) * 8000) / (to.at - from.at) : 0;
}

/** Lost packets of those sent, from 0 to 1. Counters of duplicates can make the number of lost ones shrink. */
function share(from: number | undefined, to: number | undefined, sent: number): number | undefined {
  return to === undefined || sent <= 0 ? undefined : Math.min(1, Math.max(0, (to - (from ?? 0)) / sent));
}

function median(figures: (number | undefined)[]): number | undefined {
  const known = figures.filter((figure) => figure !== undefined).sort((one, other) => one - other);
  return known[Math.floor(known.length / 2)];
}

function sum(one: number | undefined, other: number | undefined): number | undefined {
  return other === undefined ? one : (one ?? 0) + other;
}

function max(one: number | undefined, other: number | undefined): number | undefined {
  return other === undefined ? one : Math.max(one ?? 0, other);
}

function millis(secs: number | undefined): number | undefined {
  return secs === undefined ? undefined : secs * 1000;
}
