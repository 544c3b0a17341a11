// Receives webhooks and prints those that Portico has signed: `node verify_webhook.mjs [PORT]`.
// Needs `npm install telnyx` and TELNYX_PUBLIC_KEY, which `portico webhooks key` prints.

import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import Telnyx from "telnyx";

const client = new Telnyx({ apiKey: "not used", publicKey: process.env.TELNYX_PUBLIC_KEY });

const server = createServer(async (request, response) => {
  // The bytes as they arrived: the signature is of these, and JSON that is parsed and written again may differ.
  const body = await text(request);
  let event;
  try {
    event = (await client.webhooks.unwrap(body, { headers: request.headers })).data;
  } catch (error) {
    response.writeHead(400).end(String(error));
    return;
  }
  // The same event may arrive twice: store event.id where that matters.
  console.log(event.event_type, JSON.stringify(event.payload));
  response.writeHead(200).end("ok");
});

server.listen(Number(process.argv[2] ?? 3000), "127.0.0.1", () => {
  console.log(`Listening on http://127.0.0.1:${server.address().port}/`);
});
