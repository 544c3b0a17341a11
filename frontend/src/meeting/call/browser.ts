/** What the page adds beneath the SDK: it watches the signaling socket and owns the peer connections. */

import { CloseCode } from "./close_code";
import type { Refusal } from "./ending";

/** What a signaling socket said at its end; the SDK keeps most of it to itself. */
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
    // Refusals are rare and every other message is the SDK's business: look before parsing.
    if (typeof data !== "string" || !data.includes('"status_code"')) return;
    const message = JSON.parse(data) as { status_code?: number; error_message?: string; close_code?: number };
    if (!message.status_code) return;
    this.refusal = { closeCode: message.close_code ?? CloseCode.REFUSED, sentence: message.error_message ?? "" };
  }
}

let onSocket: ((watch: SocketWatch) => void) | undefined;
const peerConnections = new Set<RTCPeerConnection>();

/** Hands over the next signaling socket that the SDK opens. */
export function nextSocket(): Promise<SocketWatch> {
  return new Promise((resolve) => {
    onSocket = resolve;
  });
}

/** How the media of the call are: whether all connections fail to carry any, for the moment or for good. */
export function mediaHealth(): "good" | "interrupted" | "failed" {
  const states = [...peerConnections].map((connection) => connection.connectionState);
  const broken = states.filter((state) => state === "disconnected" || state === "failed");
  // One that is only being made says nothing yet.
  if (broken.length === 0 || states.includes("connected")) return "good";
  return broken.every((state) => state === "failed") ? "failed" : "interrupted";
}

/** The SDK leaves its peer connections running when a call ends. */
export function closePeerConnections(): void {
  for (const connection of peerConnections) connection.close();
  peerConnections.clear();
}

/** Once, before the SDK is used and after connect.js. */
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
      // The SDK asks a public STUN server of a third party. The media server is reachable by itself, so nobody
      // outside needs to learn who is in a call.
      super({ ...configuration, iceServers: [] });
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
