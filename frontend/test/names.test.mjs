/** The pages' rule for names, by the cases that the server's is tested with. */
import assert from "node:assert/strict";
import { test } from "node:test";
import cases from "../../tests/core/data/names.json";
import { displayName } from "../src/shared/names";

test("a name comes from the label or the context", () => {
  assert.ok(cases.length > 0);
  for (const { label, context, name } of cases) {
    assert.equal(displayName(label, context), name, `label ${label}, context ${context}`);
  }
});
