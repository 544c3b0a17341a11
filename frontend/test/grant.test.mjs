/** Which refusals of a token end the attempts to renew it during a call. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrantRefused } from "../src/meeting/call/grant";

test("a void link and a removed guest are final, everything else is asked again", () => {
  const asked = [0, 401, 403, 404, 408, 429, 500, 503];
  assert.deepEqual(asked.filter((status) => new GrantRefused(status).isFinal), [403, 404]);
});
