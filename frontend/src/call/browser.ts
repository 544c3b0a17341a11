/** What the page adds beneath the SDK: it watches the signaling socket and owns the peer connections. */

/** What a signaling socket said at its end; the SDK keeps most of it to itself. */
export class SocketWatch {
  refusal: { status: number; sentence: string } | undefined;
  closeCode: number | undefined;
  closeReason = "";
  /** Resolves when the socket is closed, whether or not it was ever open. */
  readonly closed: Promise<void>;

  constructor(socket: WebSocket) {
    socket.addEventListener("message", ({ data }) => this.#read(data));
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", (event) => {
        this.closeCode = event.code;
        this.closeReason = event.reason;
        resolve();
      });
    });
  }

  #read(data: unknown): void {
    // Refusals are rare and every other message is the SDK's business: look before parsing.
    if (typeof data !== "string" || !data.includes('"status_code"')) return;
    const message = JSON.parse(data) as { status_code?: number; error_message?: string };
    if (message.status_code) this.refusal = { status: message.status_code, sentence: message.error_message ?? "" };
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
