/** What the page shows of each step. */
import type { Check, Step } from "./check";
import { kilobits } from "./graph";
import type { Device, Quality, Relay } from "./results";

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
const RELAYS: Record<Relay, [Mark, string]> = {
  untested: ["none", "not tested"],
  works: ["good", "media returned"],
  failed: ["bad", "blocked, or does not answer"],
  reached: ["good", "answers; media needs a meeting's link"],
  absent: ["none", "this server has no relay"],
};

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
    failed: [results.udp === "works" || results.tcp === "works" || results.tls === "works" ? "warns" : "bad", "blocked"],
  };
  const rows: [Step, string, [Mark, string]][] = [
    ["microphone", "Microphone", device("microphone")],
    ["camera", "Camera", device("camera")],
    ["socket", "Signaling", sockets[results.socket]],
    ["direct", "Direct, over UDP", directs[results.direct]],
    ["udp", "Relay, over UDP", RELAYS[results.udp]],
    ["tcp", "Relay, over TCP", RELAYS[results.tcp]],
    ["tls", "Relay, over TLS", RELAYS[results.tls]],
    ["quality", "Ten seconds of media", results.quality ? ["good", qualityText(results.quality)] : ["none", "not tested"]],
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
  const percent = (share: number | undefined): string => (share === undefined ? "?" : `${(share * 100).toFixed(1)} %`);
  const parts = [
    quality.rateUp !== undefined && `${kilobits(quality.rateUp)} up`,
    quality.rateDown !== undefined && `${kilobits(quality.rateDown)} down`,
    `lost ${percent(quality.lossUp)} up, ${percent(quality.lossDown)} down`,
    quality.rttMillis !== undefined && `${Math.round(quality.rttMillis)} ms`,
  ];
  return parts.filter(Boolean).join(" · ");
}
