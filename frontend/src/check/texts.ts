/** What the page shows of each step. */
import type { Check, Step } from "./check";
import { kilobits } from "./graph";
import { bestPath, RELAY_PATHS, type Device, type Quality, type Relay, type Results } from "./results";
import { faultsOf } from "./verdict";

export type Mark = "waits" | "runs" | "good" | "warns" | "bad" | "none";

export interface Row {
  step: Step;
  name: string;
  mark: Mark;
  text: string;
}

const DEVICES: Record<Device, [Mark, string]> = {
  untested: ["none", "not tested"],
  works: ["good", "works"],
  denied: ["warns", "not allowed"],
  missing: ["warns", "not found"],
  busy: ["warns", "in use by another program"],
  silent: ["warns", "opened"],
  insecure: ["warns", "only on https pages"],
  failed: ["warns", "cannot be opened"],
};
/** A path that fails while another one works is no obstacle. */
function relayRow(relay: Relay, results: Results): [Mark, string] {
  switch (relay) {
    case "untested":
      return ["none", "not tested"];
    case "works":
      return ["good", "media returned"];
    case "failed":
      return [bestPath(results) === undefined ? "bad" : "warns", "blocked, or does not answer"];
    case "reached":
      return ["good", "answers; media needs a meeting's link"];
    case "absent":
      return ["none", RELAY_PATHS.every((path) => results[path] === "absent") ? "this server has no relay" : "not offered by this server"];
  }
}

export function rowsOf(check: Check): Row[] {
  const { results } = check;
  const silent: Record<string, string> = { microphone: "opened: say something", camera: "opened: the picture is black" };
  const device = (step: "microphone" | "camera"): [Mark, string] => {
    const [mark, text] = DEVICES[results[step]];
    return [mark, results[step] === "silent" ? (silent[step] ?? text) : text];
  };
  const ms = check.socketMillis === undefined ? "" : `, ${Math.round(check.socketMillis)} ms`;
  const sockets: Record<typeof results.socket, [Mark, string]> = {
    untested: ["none", "not tested"],
    works: ["good", `works${ms}`],
    failed: ["bad", "blocked"],
    refused: ["warns", check.refusal ?? "refused"],
  };
  const directs: Record<typeof results.direct, [Mark, string]> = {
    untested: ["none", "not tested"],
    works: ["good", "media returned"],
    failed: [bestPath(results) === undefined ? "bad" : "warns", "blocked"],
  };
  const rows: [Step, string, [Mark, string]][] = [
    ["microphone", "Microphone", device("microphone")],
    ["camera", "Camera", device("camera")],
    ["socket", "Signaling", sockets[results.socket]],
    ["direct", "Direct, over UDP", directs[results.direct]],
    ["udp", "Relay, over UDP", relayRow(results.udp, results)],
    ["tcp", "Relay, over TCP", relayRow(results.tcp, results)],
    ["tls", "Relay, over TLS", relayRow(results.tls, results)],
    ["quality", "Ten seconds of media", results.quality ? [results.quality.isBusy || faultsOf(results.quality).length ? "warns" : "good", qualityText(results.quality)] : ["none", "not tested"]],
  ];
  return rows.map(([step, name, [mark, text]]) => ({ step, name, ...shown(check, step, mark, text) }));
}

function shown(check: Check, step: Step, mark: Mark, text: string): { mark: Mark; text: string } {
  if (check.phase === "ready") return { mark: "waits", text: "" };
  if (check.running.has(step)) return { mark: "runs", text: step === "microphone" || step === "camera" ? "allow it if your browser asks" : "running" };
  if (check.phase === "running" && mark === "none" && text === "not tested") return { mark: "waits", text: "waits" };
  return { mark, text };
}

function qualityText(quality: Quality): string {
  const way = (name: string, rate: number | undefined, loss: number | undefined): string =>
    `${name} ${rate === undefined ? "rate unknown" : kilobits(rate)}, ${loss === undefined ? "loss unknown" : `${(loss * 100).toFixed(1)} % lost`}`;
  const parts = [way("up", quality.rateUp, quality.lossUp), way("down", quality.rateDown, quality.lossDown)];
  if (quality.rttMillis !== undefined) parts.push(`${Math.round(quality.rttMillis)} ms`);
  return parts.join(" · ");
}
