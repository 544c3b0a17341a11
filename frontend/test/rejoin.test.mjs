/** When the page tries to rejoin, with which token, and when it stops. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CloseCode } from "../src/meeting/call/close_code";
import { ending, endingOf } from "../src/meeting/call/ending";
import { GIVE_UP_MILLIS, pauseOf, planAfterCall, planAfterFirstTry, planAfterTry, tokenStepOf } from "../src/meeting/call/rejoin";

/** The pauses until the page stops, when every try takes `tryMillis` and fails with an ending of this kind. */
function pauses(kind, tryMillis = 100, most = 1000) {
  const found = [];
  let now = 5_000;
  let plan = planAfterCall(ending(kind), now);
  while (plan && found.length < most) {
    found.push(pauseOf(plan, 0.5));
    now += pauseOf(plan, 0.5) + tryMillis;
    plan = planAfterTry(plan, tokenStepOf(plan), ending(kind), now);
  }
  return { found, millis: now - 5_000 };
}

test("a lost call is tried again after 1, 2, 4, 8 s and then every 15 s, for eleven minutes", () => {
  const { found, millis } = pauses("lost");
  assert.deepEqual(found.slice(0, 7), [1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  assert.ok(millis >= GIVE_UP_MILLIS && millis < GIVE_UP_MILLIS + 20_000, `${millis} ms`);
});

test("a server that is back after ten minutes is found, also with the longest pauses and slow tries", () => {
  for (const tryMillis of [100, 10_000, 30_000]) {
    let now = 0;
    let lastTryAt = 0;
    let plan = planAfterCall(endingOf({ closeCode: CloseCode.RESTART }), now);
    while (plan) {
      now += pauseOf(plan, 1);
      lastTryAt = now;
      now += tryMillis;
      plan = planAfterTry(plan, tokenStepOf(plan), ending("unreachable"), now);
    }
    assert.ok(lastTryAt >= 600_000, `${lastTryAt} ms`);
  }
});

test("a server that hands over is left at once, and one that does not answer is tried again as ever", () => {
  const plan = planAfterCall(endingOf({ closeCode: CloseCode.RESTART }), 0);
  assert.deepEqual([0, 1].map((random) => pauseOf(plan, random)), [0, 300]);
  const handedOverAgain = planAfterTry(plan, "renew", endingOf({ closeCode: CloseCode.RESTART }), 100);
  assert.equal(pauseOf(handedOverAgain, 1), 300);
  assert.ok(pauseOf(planAfterTry(handedOverAgain, "keep", endingOf({ closeCode: CloseCode.RESTART }), 200), 0) > 2000);
  const again = planAfterTry(plan, "renew", ending("busy"), 100);
  assert.equal(pauseOf(again, 0.5), 2000);
});

test("random pauses spread the rejoins of pages that lost the same server", () => {
  const plan = planAfterCall(ending("lost"), 0);
  assert.deepEqual([0, 1].map((random) => Math.round(pauseOf(plan, random))), [800, 1200]);
});

test("a full room is tried again every 5 s", () => {
  assert.deepEqual(new Set(pauses("full").found), new Set([5000]));
});

test("hours of sleep do not count against the ten minutes", () => {
  const plan = planAfterCall(ending("lost"), 0);
  const later = planAfterTry(plan, "renew", ending("unreachable"), 10 * 3_600_000);
  assert.ok(later.waited < GIVE_UP_MILLIS);
});

test("a call that was ended on purpose is not rejoined", () => {
  for (const kind of ["left", "removed", "ended", "refused", "gone"]) {
    assert.equal(planAfterCall(ending(kind), 0), undefined, kind);
    const plan = planAfterCall(ending("lost"), 0);
    assert.equal(planAfterTry(plan, "renew", ending(kind), 100), undefined, kind);
  }
});

test("lost media end the first join, and are tried again after a call", () => {
  assert.equal(planAfterFirstTry(ending("media"), 0), undefined);
  assert.ok(planAfterCall(ending("media"), 0));
});

test("the first try renews the token, and an expired grant is replaced once", () => {
  const lost = planAfterCall(ending("lost"), 0);
  assert.equal(tokenStepOf(lost), "renew");
  const again = planAfterTry(lost, "renew", ending("lost"), 100);
  assert.equal(tokenStepOf(again), "keep");
  const expired = planAfterTry(again, "keep", ending("expired"), 200);
  assert.equal(tokenStepOf(expired), "redeem");
  assert.equal(pauseOf(expired, 0.5), 0);
  assert.equal(planAfterTry(expired, "redeem", ending("expired"), 300), undefined);
  assert.equal(tokenStepOf(planAfterTry(expired, "redeem", ending("full"), 300)), "keep");
});

const NOTHING = { wasLeaving: false, wasKicked: false, hasLostMedia: false, refusal: undefined, closeCode: undefined };

test("the close code alone decides the ending, in the socket's close or in a refusal before it", () => {
  const kinds = {
    GOODBYE: "lost",
    REFUSED: "refused",
    FAILED: "lost",
    TIMED_OUT: "lost",
    SESSION_ENDED: "ended",
    RESTART: "lost",
    REMOVED: "removed",
    MEDIA_LOST: "lost",
    ROOM_FULL: "full",
    TOKEN_REFUSED: "expired",
    UNAVAILABLE: "busy",
  };
  assert.deepEqual(Object.keys(kinds).sort(), Object.keys(CloseCode).sort());
  for (const [name, kind] of Object.entries(kinds)) {
    assert.equal(endingOf({ ...NOTHING, closeCode: CloseCode[name] }).kind, kind, name);
    // After a refusal the SDK closes the socket itself, without a code.
    const refusal = { closeCode: CloseCode[name], sentence: "The room is full. The session has ended." };
    assert.equal(endingOf({ ...NOTHING, refusal, closeCode: 1005 }).kind, kind, name);
  }
  for (const closeCode of [undefined, 1005, 1006, 1001, 4999]) {
    assert.equal(endingOf({ ...NOTHING, closeCode }).kind, "lost", String(closeCode));
  }
});

test("leaving, being kicked and lost media count before the close code", () => {
  assert.equal(endingOf({ ...NOTHING, wasLeaving: true, closeCode: 4001 }).kind, "left");
  assert.equal(endingOf({ ...NOTHING, wasKicked: true, closeCode: 1006 }).kind, "removed");
  assert.equal(endingOf({ ...NOTHING, hasLostMedia: true }).title, "Sound and picture were lost");
});
