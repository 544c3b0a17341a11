/** The result of a check in words, as a pure function of its outcomes. */
import { bestPath, RELAY_PATHS, type Device, type Path, type Quality, type RelayPath, type Results } from "./results";

/** `good`: calls work. `limited`: they work with faults, or it is not certain. `bad`: they do not work here. */
export type Tone = "good" | "limited" | "bad";

export interface Verdict {
  tone: Tone;
  /** One sentence. */
  title: string;
  /** What to know or to do beside it: sentences, the most important first. */
  details: string[];
}

export const LOSS_BAD = 0.05;
export const RTT_BAD_MILLIS = 400;
export const JITTER_BAD_MILLIS = 100;
/** Bits per second below which a camera does not fit: the SDK sends up to 500 kb/s. */
export const RATE_LOW = 300_000;

export function verdictOf(results: Results): Verdict {
  const network = networkOf(results);
  const quality = results.quality ? faultsOf(results.quality) : [];
  const busy = results.quality?.isBusy ? [BUSY] : [];
  const devices = [deviceSentence("microphone", results.microphone), deviceSentence("camera", results.camera)].filter(isText);
  const isLimited = network.tone === "good" && [...quality, ...busy, ...devices].length > 0;
  return {
    tone: isLimited ? "limited" : network.tone,
    title: quality.length > 0 && network.tone === "good" ? network.title.replace(/\.$/, ", but the connection is poor.") : network.title,
    details: [...quality, ...busy, ...network.details, ...devices],
  };
}

function networkOf(results: Results): Verdict {
  switch (results.socket) {
    case "untested":
      return { tone: "limited", title: "The check has not reached the server yet.", details: [] };
    case "refused":
      return { tone: "limited", title: "The server cannot run a check now. Try again in a minute.", details: [] };
    case "failed":
      return {
        tone: "bad",
        title: "Calls do not work here: the signaling connection is blocked.",
        details: ["A firewall, proxy or extension lets pages through and no WebSockets. Ask its administrator to allow WebSockets to this server."],
      };
    case "works":
      return mediaOf(results);
  }
}

function mediaOf(results: Results): Verdict {
  const best = bestPath(results);
  if (best === "direct") return { tone: "good", title: "Calls work: media reaches the server directly over UDP.", details: relayRemarks(results) };
  const blocked = blockedOf(results);
  if (best !== undefined) {
    return { tone: "good", title: `${blocked}calls work through the relay over ${NAMES[best]}.`, details: best === "udp" ? [] : [SLOWER] };
  }
  const reached = RELAY_PATHS.filter((path) => results[path] === "reached");
  if (reached[0] !== undefined) {
    return {
      tone: "limited",
      title: `${blocked}the relay answers over ${reached.map((path) => NAMES[path]).join(", ")}, so calls should work.`,
      details: ["To test media through the relay, open this page from the first screen of your meeting."],
    };
  }
  if (results.direct === "untested") {
    return { tone: "limited", title: "The signaling connection works. Media could not be tested.", details: [] };
  }
  const relays = RELAY_PATHS.map((path) => results[path]);
  if (relays.every((relay) => relay === "absent")) {
    return {
      tone: "bad",
      title: "Calls do not work here: media over UDP does not reach the server, and this server has no relay.",
      details: ["Try another network, such as that of a telephone. The operator can turn a relay on (PORTICO_TURN)."],
    };
  }
  if (relays.includes("untested") && !relays.includes("failed")) {
    return {
      tone: "limited",
      title: "Media over UDP does not reach the server, and the relay was not tested.",
      details: ["Open this page from the first screen of your meeting, which also tests the relay."],
    };
  }
  return {
    tone: "bad",
    title: "Calls do not work here: your network blocks media, also through the relay.",
    details: ["Try another network, or ask the administrator of this one to allow the addresses and ports of this server."],
  };
}

const NAMES: Record<Path, string> = { direct: "UDP", udp: "UDP", tcp: "TCP", tls: "TLS" };
const BUSY = "This device is busy, so its network could not be measured. Close other programs and check again.";
const SLOWER = "Media over TCP waits for lost packets, so calls can stutter where the network is busy.";

/** The first half of the sentence for a network on which the direct path does not work; "" when nothing is known. */
function blockedOf(results: Results): string {
  if (results.direct !== "failed") return "The direct path was not tested; ";
  const failed = RELAY_PATHS.filter((path) => results[path] === "failed");
  if (!failed.includes("udp")) return "Media does not reach the server directly; ";
  return failed.includes("tcp") ? "Your network blocks UDP and the relay's TCP port; " : "Your network blocks UDP; ";
}

/** A relay is not needed where the direct path works, but the next network may need it. */
function relayRemarks(results: Results): string[] {
  const failed = RELAY_PATHS.filter((path: RelayPath) => results[path] === "failed").map((path) => NAMES[path]);
  return failed.length ? [`The relay does not answer over ${failed.join(", ")}. Calls here do not need it.`] : [];
}

/** What is poor about a connection, as sentences; empty for a good one. */
export function faultsOf(quality: Quality): string[] {
  const { lossUp, lossDown, rttMillis, jitterMillis, rateUp, rateDown } = quality;
  const loss = Math.max(lossUp ?? 0, lossDown ?? 0);
  const rate = Math.min(rateUp ?? Infinity, rateDown ?? Infinity);
  const found: string[] = [];
  if (loss >= LOSS_BAD) {
    const way = (lossUp ?? 0) >= LOSS_BAD ? ((lossDown ?? 0) >= LOSS_BAD ? "both ways" : "on the way to the server") : "on the way back";
    found.push(`${Math.round(loss * 100)} % of the packets are lost ${way}: expect gaps in sound and picture.`);
  }
  if (rate < RATE_LOW) found.push(`The network carries ${Math.round(rate / 1000)} kb/s: turn the camera off for a clear voice.`);
  if ((rttMillis ?? 0) >= RTT_BAD_MILLIS) found.push(`A packet takes ${Math.round(rttMillis ?? 0)} ms to the server and back: answers come late.`);
  if ((jitterMillis ?? 0) >= JITTER_BAD_MILLIS) found.push("Packets arrive unevenly: sound can stutter.");
  return found;
}

function deviceSentence(name: string, device: Device): string | undefined {
  const your = `Your ${name}`;
  switch (device) {
    case "works":
    case "untested":
      return undefined;
    case "denied":
      return `This page may not use your ${name}. Allow it in the address bar, and in the settings of your system.`;
    case "missing":
      return `No ${name} was found.`;
    case "busy":
      return `${your} is in use by another program.`;
    case "silent":
      return name === "microphone" ? `${your} was silent. Is it muted, or the wrong one?` : `${your} shows a black picture. Is it covered?`;
    case "insecure":
      return `Browsers give the ${name} only to pages opened over https.`;
    case "failed":
      return `${your} could not be opened.`;
  }
}

function isText(text: string | undefined): text is string {
  return text !== undefined;
}
