/** One path to the server: a PeerConnection of its own that may use this path only, and the echo of Janus. */
import { within } from "../shared/deadline";
import { OfferRefused, type CheckSocket } from "./socket";
import type { Path } from "./results";

/** Reaching a relay: over UDP, browsers have asked five times by then; over TLS, it takes six round trips. */
const RELAY_MILLIS = 8_000;
/** Own addresses are there at once. They are needed only where the server is behind a NAT with no known address. */
const GATHER_MILLIS = 1_000;
const ECHO_MILLIS = 8_000;
const POLL_MILLIS = 150;
const ECHO_PACKETS = 5;
/** What a TURN server answers to wrong credentials (RFC 8656): it was reached. */
const UNAUTHORIZED = 401;
/** For a visitor without credentials: the relay refuses them, and so shows that it can be reached. */
const NO_CREDENTIALS = { username: "check", credential: "check" };

export type Outcome = "works" | "failed" | "reached" | "untested";

export class PathTest {
  readonly connection: RTCPeerConnection;
  /** Sends the picture when it is time for the measurement. */
  readonly video: RTCRtpSender;
  #isReached = false;

  /** `relay` is the only relay to use, and no path beside it; undefined for the direct path. */
  constructor(
    readonly path: Path,
    private readonly relay: RTCIceServer | undefined,
    tone: MediaStreamTrack,
  ) {
    const hasCredentials = relay?.username !== undefined;
    this.connection = new RTCPeerConnection({
      iceServers: relay ? [hasCredentials ? relay : { ...relay, ...NO_CREDENTIALS }] : [],
      iceTransportPolicy: relay ? "relay" : "all",
      bundlePolicy: "max-bundle",
    });
    this.connection.addEventListener("icecandidateerror", (event) => {
      if (event.errorCode === UNAUTHORIZED) this.#isReached = true;
    });
    const stream = new MediaStream([tone]);
    this.connection.addTransceiver(tone, { direction: "sendrecv", streams: [stream] });
    this.video = this.connection.addTransceiver("video", { direction: "sendrecv", streams: [stream] }).sender;
  }

  /** Whether sound comes back on this path. */
  async run(socket: CheckSocket): Promise<Outcome> {
    try {
      await this.connection.setLocalDescription();
      if (!(await this.#gathered())) return this.#withoutRelay();
      const offer = this.connection.localDescription?.sdp ?? "";
      const answer = await socket.answer(this.path, offer);
      await this.connection.setRemoteDescription({ type: "answer", sdp: withoutTcp(answer) });
      return (await this.#hasEcho()) ? "works" : "failed";
    } catch (error) {
      console.debug(this.path, error);
      return error instanceof OfferRefused ? "untested" : "failed";
    }
  }

  close(): void {
    this.connection.close();
  }

  /** Wait for the browser's candidates; false without the one of the relay. */
  async #gathered(): Promise<boolean> {
    const found = new Promise<boolean>((resolve) => {
      this.connection.addEventListener("icecandidate", ({ candidate }) => {
        if (!candidate) resolve(this.relay === undefined);
        else if (candidate.type === "relay") resolve(true);
      });
      this.connection.addEventListener("icecandidateerror", () => {
        if (this.#isReached) resolve(false);
      });
    });
    return within(this.relay ? RELAY_MILLIS : GATHER_MILLIS, "gathering", found).catch(() => this.relay === undefined);
  }

  #withoutRelay(): Outcome {
    if (this.#isReached) return "reached";
    // Without this event, a relay that refuses looks like one that does not answer.
    const reportsErrors = "onicecandidateerror" in RTCPeerConnection.prototype;
    return this.relay?.username === undefined && !reportsErrors ? "untested" : "failed";
  }

  async #hasEcho(): Promise<boolean> {
    const ends = performance.now() + ECHO_MILLIS;
    while (performance.now() < ends && this.connection.connectionState !== "failed") {
      if ((await receivedPackets(this.connection)) >= ECHO_PACKETS) return true;
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));
    }
    return false;
  }
}

/** The answer without the server's TCP candidates, where it has some: the direct path is tested over UDP. */
function withoutTcp(sdp: string): string {
  return sdp.replace(/^a=candidate:\S+ \d+ tcp .*\r?\n/gim, "");
}

async function receivedPackets(connection: RTCPeerConnection): Promise<number> {
  let packets = 0;
  (await connection.getStats()).forEach((report: { type: string; packetsReceived?: number }) => {
    if (report.type === "inbound-rtp") packets += report.packetsReceived ?? 0;
  });
  return packets;
}
