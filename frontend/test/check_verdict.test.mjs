/** The sentences of a check's result: for the cases that occur, and what holds for all combinations of outcomes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bestPath, NOTHING } from "../src/check/results";
import { verdictOf } from "../src/check/verdict";

const DEVICES = ["untested", "works", "denied", "missing", "busy", "silent", "insecure", "failed"];
const RELAYS = ["untested", "works", "failed", "reached", "absent"];
const NO_RELAY = { udp: "absent", tcp: "absent", tls: "absent" };
const GOOD = { path: "direct", rttMillis: 20, jitterMillis: 3, lossUp: 0, lossDown: 0, rateUp: 1e6, rateDown: 1e6, isBusy: false };

function results(changes) {
  return { ...NOTHING, microphone: "works", camera: "works", socket: "works", ...changes };
}

function* combinations() {
  for (const socket of ["untested", "works", "failed", "refused"])
    for (const direct of ["untested", "works", "failed"])
      for (const udp of RELAYS) for (const tcp of RELAYS) for (const tls of RELAYS) yield results({ socket, direct, udp, tcp, tls });
}

const CASES = [
  [{ direct: "works", ...NO_RELAY }, "good", "Calls work: media reaches the server directly over UDP."],
  [{ direct: "failed", udp: "failed", tcp: "works", tls: "works" }, "good", "Your network blocks UDP; calls work through the relay over TCP."],
  [
    { direct: "failed", udp: "failed", tcp: "failed", tls: "works" },
    "good",
    "Your network blocks UDP and the relay's TCP port; calls work through the relay over TLS.",
  ],
  [{ direct: "failed", udp: "works", tcp: "works", tls: "works" }, "good", "Media does not reach the server directly; calls work through the relay over UDP."],
  [
    { direct: "failed", udp: "failed", tcp: "reached", tls: "reached" },
    "limited",
    "Your network blocks UDP; the relay answers over TCP, TLS, so calls should work.",
  ],
  [
    { direct: "failed", ...NO_RELAY },
    "bad",
    "Calls do not work here: media over UDP does not reach the server, and this server has no relay.",
  ],
  [{ direct: "failed", udp: "failed", tcp: "failed", tls: "failed" }, "bad", "Calls do not work here: your network blocks media, also through the relay."],
  [
    { direct: "failed", udp: "untested", tcp: "untested", tls: "untested" },
    "limited",
    "Media over UDP does not reach the server, and the relay was not tested.",
  ],
  [{ direct: "untested", ...NO_RELAY }, "limited", "The signaling connection works. Media could not be tested."],
  [{ socket: "failed" }, "bad", "Calls do not work here: the signaling connection is blocked."],
  [{ socket: "refused" }, "limited", "The server cannot run a check now. Try again in a minute."],
  [{ socket: "untested" }, "limited", "The check has not reached the server yet."],
];

for (const [changes, tone, title] of CASES) {
  test(title, () => {
    const verdict = verdictOf(results(changes));
    assert.deepEqual([verdict.tone, verdict.title], [tone, title]);
  });
}

test("every combination of outcomes has a sentence that agrees with it", () => {
  let count = 0;
  for (const each of combinations()) {
    count += 1;
    const { tone, title, details } = verdictOf(each);
    const what = JSON.stringify({ ...each, title });
    assert.match(title, /^[A-Z].*\.$/, what);
    for (const detail of details) assert.match(detail, /^[A-Z].*\.$/, what);
    const best = each.socket === "works" ? bestPath(each) : undefined;
    assert.equal(title.includes("do not work"), tone === "bad", what);
    if (best !== undefined) assert.equal(tone, "good", what);
    if (best === "direct") assert.match(title, /^Calls work: media reaches the server directly/, what);
    if (best !== undefined && best !== "direct") assert.ok(title.endsWith(`calls work through the relay over ${best.toUpperCase()}.`), what);
    if (title.includes("blocks UDP")) assert.deepEqual([each.direct, each.udp], ["failed", "failed"], what);
    if (tone === "good") assert.notEqual(best, undefined, what);
  }
  assert.equal(count, 4 * 3 * 125);
});

test("a device that does not work is named, and makes a good result limited", () => {
  for (const microphone of DEVICES)
    for (const camera of DEVICES) {
      const { tone, title, details } = verdictOf(results({ direct: "works", ...NO_RELAY, microphone, camera }));
      const isFine = (device) => device === "works" || device === "untested";
      assert.equal(title, CASES[0][2]);
      assert.equal(details.some((detail) => detail.includes("microphone")), !isFine(microphone));
      assert.equal(details.some((detail) => detail.includes("camera")), !isFine(camera));
      assert.equal(tone, isFine(microphone) && isFine(camera) ? "good" : "limited");
    }
});

test("a poor connection is described by its figures", () => {
  const of = (changes) => verdictOf(results({ direct: "works", ...NO_RELAY, quality: { ...GOOD, ...changes } }));
  assert.deepEqual(of({}), { tone: "good", title: CASES[0][2], details: [] });
  const cases = [
    [{ lossUp: 0.12 }, "12 % of the packets are lost on the way to the server: expect gaps in sound and picture."],
    [{ lossDown: 0.06 }, "6 % of the packets are lost on the way back: expect gaps in sound and picture."],
    [{ lossUp: 0.06, lossDown: 0.2 }, "20 % of the packets are lost both ways: expect gaps in sound and picture."],
    [{ rateUp: 120_000 }, "The network carries 120 kb/s: turn the camera off for a clear voice."],
    [{ rttMillis: 650 }, "A packet takes 650 ms to the server and back: answers come late."],
    [{ jitterMillis: 150 }, "Packets arrive unevenly: sound can stutter."],
  ];
  for (const [changes, sentence] of cases) {
    const { tone, title, details } = of(changes);
    assert.equal(tone, "limited");
    assert.equal(title, "Calls work: media reaches the server directly over UDP, but the connection is poor.");
    assert.deepEqual(details, [sentence]);
  }
  const unknown = { rttMillis: undefined, jitterMillis: undefined, lossUp: undefined, lossDown: undefined, rateUp: undefined, rateDown: undefined };
  assert.equal(of(unknown).tone, "good");
  const busy = of({ ...unknown, isBusy: true });
  assert.deepEqual([busy.tone, busy.title, busy.details.length], ["limited", CASES[0][2], 1]);
  assert.match(busy.details[0], /^This device is busy/);
});

test("a relay that is blocked where it is not needed is a remark", () => {
  const { tone, details } = verdictOf(results({ direct: "works", udp: "works", tcp: "failed", tls: "failed" }));
  assert.equal(tone, "good");
  assert.deepEqual(details, ["The relay does not answer over TCP, TLS. Calls here do not need it."]);
});
