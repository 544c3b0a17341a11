/** When the page tries to join again, and when it stops. Pure: times are milliseconds of one clock, given by the caller. */
import type { Ending, Kind } from "./ending";

export interface Plan {
  /** Why there is no call now. */
  ending: Ending;
  /** Failed tries so far. */
  tries: number;
  /** Milliseconds of waiting and trying so far; a time in which the device slept hardly counts. */
  waited: number;
  /** When the newest try failed, or the call was lost. */
  at: number;
}

/** What a try needs: the token it has while that is good, a fresh one of the same grant, or one of a new grant. */
export type TokenStep = "keep" | "renew" | "redeem";

export const GIVE_UP_MILLIS = 600_000;
const PAUSE_SECS = [1, 2, 4, 8];
const LONGEST_PAUSE_SECS = 15;
const SEAT_PAUSE_SECS = 5;
/** A longer gap between two steps: the device slept. */
const LONGEST_STEP_MILLIS = 60_000;

const PASSING: ReadonlySet<Kind> = new Set(["full", "expired", "lost", "media", "busy", "unreachable"]);

/** The plan after a call was lost; undefined where it was ended on purpose. */
export function planAfterCall(ending: Ending, now: number): Plan | undefined {
  return PASSING.has(ending.kind) ? { ending, tries: 0, waited: 0, at: now } : undefined;
}

/** The plan after somebody pressed Join in vain. A firewall that blocks the first call will block the next as well. */
export function planAfterFirstTry(ending: Ending, now: number): Plan | undefined {
  return ending.kind === "media" ? undefined : planAfterCall(ending, now);
}

/** The plan after one more try has failed; undefined when the page stops trying. */
export function planAfterTry(plan: Plan, step: TokenStep, ending: Ending, now: number): Plan | undefined {
  const waited = plan.waited + Math.min(Math.max(0, now - plan.at), LONGEST_STEP_MILLIS);
  if (!PASSING.has(ending.kind) || waited >= GIVE_UP_MILLIS) return undefined;
  if (ending.kind === "expired" && step === "redeem") return undefined;
  return { ending, tries: plan.tries + 1, waited, at: now };
}

/** Milliseconds until the next try. `random` (0 to 1) spreads the tries of many pages that lost one server together. */
export function pauseOf({ ending, tries }: Plan, random: number): number {
  if (ending.kind === "expired") return 0;
  const secs = ending.kind === "full" ? SEAT_PAUSE_SECS : (PAUSE_SECS[tries] ?? LONGEST_PAUSE_SECS);
  return secs * 1000 * (0.8 + 0.4 * random);
}

export function tokenStepOf({ ending, tries }: Plan): TokenStep {
  if (ending.kind === "expired") return "redeem";
  return tries === 0 ? "renew" : "keep";
}
