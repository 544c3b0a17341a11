/** The code for support: the same examples as tests/core/test_check_code.py, and the classes of figures. */
import assert from "node:assert/strict";
import { test } from "node:test";
import examples from "../../tests/core/data/check_codes.json";
import { classOf, encode, LOSS, RATE, RTT_MILLIS } from "../src/check/code";
import { deviceOf } from "../src/check/device";
import { admissionOf } from "../src/check/entry";

/** JSON has no undefined: a figure that the browser does not report is left out there. */
function resultsOf({ results }) {
  return { ...results, quality: results.quality ?? undefined };
}

for (const example of examples) {
  test(`the code of ${example.name}`, () => {
    assert.equal(encode(resultsOf(example), example.device, Date.parse(example.at)), example.code);
  });
}

test("a figure is in the class whose bound it has reached", () => {
  assert.deepEqual([undefined, NaN, 0, 49.9, 50, 799, 800, 1e9].map((ms) => classOf(ms, RTT_MILLIS)), [0, 0, 1, 1, 2, 5, 6, 6]);
  assert.deepEqual([0, 0.005, 1].map((loss) => classOf(loss, LOSS)), [1, 2, 6]);
  assert.deepEqual([0, 1_000_000].map((rate) => classOf(rate, RATE)), [1, 6]);
});

test("browser and system are families", () => {
  const cases = [
    ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "Chrome", "Linux"],
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge", "Windows"],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Linux"],
    ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15", "Safari", "macOS"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1", "Safari", "iOS"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1", "Chrome", "iOS"],
    ["Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", "Samsung Internet", "Android"],
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0", "Opera", "Windows"],
    ["curl/8.0", "other", "other"],
  ];
  for (const [agent, browser, system] of cases) assert.deepEqual(deviceOf(agent), { browser, system }, agent);
});

test("the fragment names a meeting, or nothing", () => {
  const room = "0e0a12b6-9b43-4b04-a0d2-8a21c1a1f0c1";
  assert.deepEqual(admissionOf(`#${room}/abc-_1`), { room_id: room, invite: "abc-_1" });
  assert.deepEqual(admissionOf(`#${room}/token=a.b.c`), { room_id: room, token: "a.b.c" });
  for (const fragment of ["", "#", "#abc", `#${room}`, `#${room}/`]) assert.deepEqual(admissionOf(fragment), {});
});
