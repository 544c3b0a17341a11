/**
 * The code of a check's result, for support: 16 characters without names or addresses.
 *
 * docs/check.md describes it; `portico check-code` decodes it (portico/core/check_code.py). tests/core/data/check_codes.json
 * has examples that both sides are tested with.
 */
import type { Path, Results } from "./results";

/** No I, L, O and U: they look like others, or make words (Crockford's base 32). */
const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 16;
/** A prime below 2^9: no change of one letter, and no exchange of two neighbours, keeps the remainder. */
const CHECKSUM = 509n;

export const VERSION = 1;
const DEVICES = ["untested", "works", "denied", "missing", "busy", "silent", "insecure", "failed"] as const;
const SOCKETS = ["untested", "works", "failed", "refused"] as const;
const DIRECTS = ["untested", "works", "failed"] as const;
const RELAYS = ["untested", "works", "failed", "reached", "absent"] as const;
const PATH_NUMBERS: readonly (Path | undefined)[] = [undefined, "direct", "udp", "tcp", "tls"];
export const BROWSERS = ["other", "Chrome", "Edge", "Firefox", "Safari", "Opera", "Samsung Internet"] as const;
export const SYSTEMS = ["other", "Windows", "macOS", "Linux", "Android", "iOS"] as const;

/** Lower bounds of the classes 2 to 6; class 0 means unknown. */
export const RTT_MILLIS = [50, 100, 200, 400, 800];
export const JITTER_MILLIS = [10, 30, 60, 100, 200];
export const LOSS = [0.005, 0.02, 0.05, 0.1, 0.25];
export const RATE = [64_000, 150_000, 300_000, 500_000, 800_000];

export interface Device {
  browser: (typeof BROWSERS)[number];
  system: (typeof SYSTEMS)[number];
}

const EPOCH = Date.UTC(2026, 0, 1);

/** The code of these results at `now` (milliseconds since 1970), in groups of four. */
export function encode(results: Results, device: Device, now: number): string {
  const quality = results.quality;
  const fields: [number, number][] = [
    [VERSION, 2],
    [DEVICES.indexOf(results.microphone), 3],
    [DEVICES.indexOf(results.camera), 3],
    [SOCKETS.indexOf(results.socket), 2],
    [DIRECTS.indexOf(results.direct), 2],
    [RELAYS.indexOf(results.udp), 3],
    [RELAYS.indexOf(results.tcp), 3],
    [RELAYS.indexOf(results.tls), 3],
    [PATH_NUMBERS.indexOf(quality?.path), 3],
    [classOf(quality?.rttMillis, RTT_MILLIS), 3],
    [classOf(quality?.jitterMillis, JITTER_MILLIS), 3],
    [classOf(quality?.lossUp, LOSS), 3],
    [classOf(quality?.lossDown, LOSS), 3],
    [classOf(quality?.rateUp, RATE), 3],
    [classOf(quality?.rateDown, RATE), 3],
    [BROWSERS.indexOf(device.browser), 4],
    [SYSTEMS.indexOf(device.system), 3],
    [Math.max(0, Math.floor((now - EPOCH) / 60_000)) % 2 ** 22, 22],
  ];
  const value = fields.reduce((bits, [number, width]) => (bits << BigInt(width)) | BigInt(number), 0n);
  return spelled((value << 9n) | value % CHECKSUM);
}

/** 1 below the first bound, one more for each bound that the figure reaches; 0 for an unknown figure. */
export function classOf(figure: number | undefined, bounds: readonly number[]): number {
  return figure === undefined || Number.isNaN(figure) ? 0 : 1 + bounds.filter((bound) => figure >= bound).length;
}

function spelled(value: bigint): string {
  const letters = Array.from({ length: LENGTH }, (_, index) => LETTERS[Number((value >> BigInt(5 * (LENGTH - 1 - index))) & 31n)]);
  return [0, 4, 8, 12].map((start) => letters.slice(start, start + 4).join("")).join("-");
}
