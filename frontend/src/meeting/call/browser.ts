/** Wrappers of the browser's WebSocket and RTCPeerConnection, which show the page what the SDK hides. */

import { CloseCode } from "./close_code";
import type { Refusal } from "./ending";

/** Observes one signaling socket: its close code and the refusal before it, which the SDK does not report. */
export class SocketWatch {
  refusal: Refusal | undefined;
  closeCode: number | undefined;
  /** Messages received so far. The SDK sends a keepalive every 5 s, so a working connection keeps this growing. */
  received = 0;
  /** Resolves when the socket is closed, whether or not it was ever open. */
  readonly closed: Promise<void>;

  constructor(socket: WebSocket) {
    socket.addEventListener("message", ({ data }) => this.#read(data));
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", (event) => {
        this.closeCode = event.code;
        resolve();
      });
    });
  }

  #read(data: unknown): void {
    this.received += 1;
    // Parse refusals only; all other messages are handled by the SDK.
    if (typeof data !== "string" || !data.includes('"status_code"')) return;
    const message = JSON.parse(data) as { status_code?: number; error_message?: string; close_code?: number };
    if (!message.status_code) return;
    this.refusal = { closeCode: message.close_code ?? CloseCode.REFUSED, sentence: message.error_message ?? "" };
  }
}

let onSocket: ((watch: SocketWatch) => void) | undefined;
const peerConnections = new Set<RTCPeerConnection>();

/** Resolves with the next signaling socket that the SDK opens. */
export function nextSocket(): Promise<SocketWatch> {
  return new Promise((resolve) => {
    onSocket = resolve;
  });
}

/** "failed" when all peer connections have failed, "interrupted" when none is connected and one was, else "good". */
export function mediaHealth(): "good" | "interrupted" | "failed" {
  const states = [...peerConnections].map((connection) => connection.connectionState);
  const broken = states.filter((state) => state === "disconnected" || state === "failed");
  // A connection that is being established is in neither state and does not count as broken.
  if (broken.length === 0 || states.includes("connected")) return "good";
  return broken.every((state) => state === "failed") ? "failed" : "interrupted";
}

/** Close all peer connections, which the SDK leaves open when a call ends. */
export function closePeerConnections(): void {
  for (const connection of peerConnections) connection.close();
  peerConnections.clear();
}

/** Install the wrappers. Call it once, after connect.js has run and before the SDK is used. */
export function install(): void {
  const NativeSocket = window.WebSocket;
  window.WebSocket = class extends NativeSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      if (protocols !== "janus-protocol") return;
      onSocket?.(new SocketWatch(this));
      onSocket = undefined;
    }
  };
  const NativeConnection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends NativeConnection {
    constructor(configuration?: RTCConfiguration) {
      // The SDK configures a third party's STUN server, which would learn the participants' addresses. The server names
      // its own relay, or none.
      super({ ...configuration, iceServers: window.Portico.iceServers });
      peerConnections.add(this);
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "closed") peerConnections.delete(this);
      });
    }

    override close(): void {
      super.close();
      peerConnections.delete(this);
    }
  };
}
