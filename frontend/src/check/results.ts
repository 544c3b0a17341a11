/** What a check finds out: one outcome for each step, and the quality of one path. */

export type Device = "untested" | "works" | "denied" | "missing" | "busy" | "silent" | "insecure" | "failed";
/** `refused`: the server answered that it cannot begin a check now. */
export type Socket = "untested" | "works" | "failed" | "refused";
export type Direct = "untested" | "works" | "failed";
/** `works`: media returned through it. `reached`: it answered and gave no relay. `absent`: the server has none. */
export type Relay = "untested" | "works" | "failed" | "reached" | "absent";
export type RelayPath = "udp" | "tcp" | "tls";
export type Path = "direct" | RelayPath;

export const RELAY_PATHS: readonly RelayPath[] = ["udp", "tcp", "tls"];
export const PATHS: readonly Path[] = ["direct", ...RELAY_PATHS];

/** Figures of ten seconds of media through the server and back. Undefined: the browser does not report it. */
export interface Quality {
  path: Path;
  rttMillis: number | undefined;
  jitterMillis: number | undefined;
  /** Lost packets, from 0 to 1. */
  lossUp: number | undefined;
  lossDown: number | undefined;
  /** Bits per second. */
  rateUp: number | undefined;
  rateDown: number | undefined;
  /** Whether the device had no time to make the picture: then rates and jitter are undefined, as they say nothing. */
  isBusy: boolean;
}

export interface Results {
  microphone: Device;
  camera: Device;
  socket: Socket;
  direct: Direct;
  udp: Relay;
  tcp: Relay;
  tls: Relay;
  quality: Quality | undefined;
}

export const NOTHING: Results = {
  microphone: "untested",
  camera: "untested",
  socket: "untested",
  direct: "untested",
  udp: "untested",
  tcp: "untested",
  tls: "untested",
  quality: undefined,
};

/** The path on which calls would run: the first that works in the order in which browsers prefer them. */
export function bestPath(results: Results): Path | undefined {
  return PATHS.find((path) => results[path] === "works");
}
