/** Which HTTP statuses end the attempts to renew a token during a call. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrantRefused } from "../src/meeting/call/grant";

test("403 (a removed guest) and 404 (an invalid link) are final, other statuses are tried again", () => {
  const statuses = [0, 401, 403, 404, 408, 429, 500, 503];
  assert.deepEqual(statuses.filter((status) => new GrantRefused(status).isFinal), [403, 404]);
});
