/** When the page tries to rejoin, and when it stops. Pure: the caller passes the time, in milliseconds of one monotonic clock. */
import type { Ending, Kind } from "./ending";

export interface Plan {
  /** How the last call or the last try ended. */
  ending: Ending;
  /** Failed tries so far. */
  tries: number;
  /** Milliseconds of waiting and trying so far; a step counts at most LONGEST_STEP_MILLIS, because the device may sleep. */
  waited: number;
  /** When the last try failed, or the call was lost. */
  at: number;
}

/** The token for the next try: the present one ("keep"), a new one of the same grant ("renew"), or a new grant ("redeem"). */
export type TokenStep = "keep" | "renew" | "redeem";

/** Longer than ten minutes of downtime, with the longest pause and a try. */
export const GIVE_UP_MILLIS = 660_000;
const PAUSE_SECS = [1, 2, 4, 8];
const LONGEST_PAUSE_SECS = 15;
/** The longest pause before the first try when another server goes on at once. The server closes connections in groups. */
const AT_ONCE_MILLIS = 300;
const SEAT_PAUSE_SECS = 5;
/** A longer step means that the device slept. */
const LONGEST_STEP_MILLIS = 60_000;

/** Endings after which a later try may succeed. */
const TEMPORARY: ReadonlySet<Kind> = new Set(["full", "expired", "lost", "media", "busy", "unreachable"]);

/** The plan after a call ended; undefined when the page must not rejoin. */
export function planAfterCall(ending: Ending, now: number): Plan | undefined {
  return TEMPORARY.has(ending.kind) ? { ending, tries: 0, waited: 0, at: now } : undefined;
}

/** The plan after the first join failed. A firewall that blocks media at the first join blocks them at the next one too. */
export function planAfterFirstTry(ending: Ending, now: number): Plan | undefined {
  return ending.kind === "media" ? undefined : planAfterCall(ending, now);
}

/** The plan after another try failed; undefined when the page stops trying. */
export function planAfterTry(plan: Plan, step: TokenStep, ending: Ending, now: number): Plan | undefined {
  const waited = plan.waited + Math.min(Math.max(0, now - plan.at), LONGEST_STEP_MILLIS);
  if (!TEMPORARY.has(ending.kind) || waited >= GIVE_UP_MILLIS) return undefined;
  if (ending.kind === "expired" && step === "redeem") return undefined;
  return { ending, tries: plan.tries + 1, waited, at: now };
}

/** Milliseconds until the next try. `random` (0 to 1) spreads the tries of pages that lost the same server at once. */
export function pauseOf({ ending, tries }: Plan, random: number): number {
  if (ending.kind === "expired") return 0;
  // The first try may be handed over too, when it enters the room just before its media node stops.
  if (ending.rejoinsAtOnce && tries <= 1) return AT_ONCE_MILLIS * random;
  const secs = ending.kind === "full" ? SEAT_PAUSE_SECS : (PAUSE_SECS[tries] ?? LONGEST_PAUSE_SECS);
  return secs * 1000 * (0.8 + 0.4 * random);
}

/** The token that the next try uses. */
export function tokenStepOf({ ending, tries }: Plan): TokenStep {
  if (ending.kind === "expired") return "redeem";
  return tries === 0 ? "renew" : "keep";
}
