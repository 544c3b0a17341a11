// Calls the official SDK: one JSON line in for each call, one JSON line out with its result.
//
// In:  {"call": "rooms.sessions.list0", "arguments": [...], "key": "...", "base_url": "...", "each": true}
// Out: {"value": ...} with `each` all items of all pages, else what the promise gave; or {"error": {...}}.
// Every line out also has the requests that went over the wire, as [method, URL, length of body, status].
import { createInterface } from "node:readline";
import Telnyx from "telnyx";

const exchanges = [];

async function overheard(url, options) {
  const response = await fetch(url, options);
  const target = decodeURIComponent(new URL(url).pathname + new URL(url).search);
  exchanges.push([options.method.toUpperCase(), target, options.body?.length ?? 0, response.status]);
  return response;
}

async function perform({ call, arguments: given, key, base_url: baseURL, each }) {
  const client = new Telnyx({ apiKey: key, baseURL, fetch: overheard });
  const path = call.split(".");
  const method = path.pop();
  const resource = path.reduce((found, name) => found[name], client);
  const promise = resource[method](...given);
  if (!each) return await promise;
  const items = [];
  for await (const item of promise) items.push(item);
  return items;
}

for await (const line of createInterface({ input: process.stdin })) {
  exchanges.length = 0;
  const outcome = {};
  try {
    outcome.value = (await perform(JSON.parse(line))) ?? null;
  } catch (error) {
    if (!(error instanceof Telnyx.APIError)) throw error;
    outcome.error = { name: error.constructor.name, status: error.status, body: error.error };
  }
  console.log(JSON.stringify({ ...outcome, exchanges }));
}
