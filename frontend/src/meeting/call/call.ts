/** One call: the SDK's room with a deadline for each wait, and its state as plain values for the page. */
import { initialize, type Room, type State } from "@telnyx/video";
import { DeadlineExceeded, within } from "../../shared/deadline";
import type { Devices } from "./devices";
import { Observable } from "../../shared/observable";
import { closePeerConnections, mediaHealth, nextSocket, type SocketWatch } from "./browser";
import { Chat } from "./chat";
import { ending, endingOf, type Ending } from "./ending";
import { displayName } from "../../shared/names";
import { Messages } from "./messages";
import { participantsOf, type Participant } from "./participants";
import { Publications } from "./publications";
import { Subscriptions } from "./subscriptions";

const CONNECT_MILLIS = 25_000;
const TOKEN_MILLIS = 10_000;
/** The SDK reports when a participant starts to speak and never when they stop, so the mark is removed after this time. */
const SPEAKING_MILLIS = 2_500;
const CHECK_MILLIS = 1_000;
/** Consecutive checks that find failed media, or no new signaling message, before the call counts as lost.
 * Checks are counted instead of seconds because none runs while the device sleeps. */
const FAILED_CHECKS = 3;
const SILENT_CHECKS = 30;
const SILENT_CHECKS_WITHOUT_MEDIA = 10;
/** Interruptions of fewer checks are not shown. */
const INTERRUPTED_CHECKS = 2;

/** Joining did not succeed; `ending` says why. */
export class NotJoined extends Error {
  constructor(readonly ending: Ending) {
    super(ending.title);
  }
}

export interface JoinOptions {
  roomId: string;
  token: string;
  name: string;
  devices: Devices;
  /** The messages of the visit: a rejoined call continues them. */
  chat: Chat;
  /** Aborts the join and closes what it opened. */
  signal: AbortSignal;
}

export class Call extends Observable {
  /** The newest sentence to show; undefined when there is none. */
  notice: string | undefined;
  ending: Ending | undefined;
  /** No media arrive at the moment; the connection may recover. */
  isInterrupted = false;
  /** The newest join or leave, as a sentence for screen readers. */
  announcement = "";

  readonly #names = new Map<string, string>();
  readonly #speaking = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #messages: Messages;
  readonly #publications: Publications;
  readonly #subscriptions: Subscriptions;
  readonly #unsubscribeDevices: () => void;
  /** The SDK accepts streams only when connected; devices that were opened before are published then. */
  #isConnected = false;
  #wasLeaving = false;
  #wasKicked = false;
  #hasLostMedia = false;
  #checkTimer: ReturnType<typeof setInterval> | undefined;
  #checks = { received: 0, silent: 0, interrupted: 0, failed: 0 };

  private constructor(
    private readonly room: Room,
    private readonly socket: SocketWatch,
    devices: Devices,
    readonly chat: Chat,
  ) {
    super();
    this.#messages = new Messages(room);
    this.#publications = new Publications(room, devices, (sentence) => this.notify(sentence));
    this.#subscriptions = new Subscriptions(room);
    this.#unsubscribeDevices = devices.onChange(() => {
      if (this.#isConnected && !this.ending) this.#publications.syncDevices();
      this.changed();
    });
    this.#listen();
  }

  /** Join a room. Rejects with NotJoined; each of the two steps has a deadline of 25 s, because the SDK may wait for ever. */
  static async join({ roomId, token, name, devices, chat, signal }: JoinOptions): Promise<Call> {
    const opened = nextSocket();
    const context = JSON.stringify({ username: name });
    const initialized = initialize({ roomId, clientToken: token, context, enableMessages: true, logLevel: "ERROR" });
    const socket = await within(CONNECT_MILLIS, "signaling", opened);
    const room = await untilClosed(socket, initialized, "signaling", signal).catch((error: unknown) => {
      // If the SDK's room is ready after all, disconnect it: this join has failed already.
      initialized.then((late) => late.disconnect()).catch(() => undefined);
      throw error;
    });
    const call = new Call(room, socket, devices, chat);
    try {
      await untilClosed(socket, room.connect(), "media", signal);
    } catch (error) {
      call.leave();
      throw error;
    }
    call.#begin();
    return call;
  }

  get participants(): Participant[] {
    return participantsOf(this.room.getState(), new Set(this.#speaking.keys()));
  }

  get mixedAudio(): MediaStreamTrack | undefined {
    return this.room.getState().mixedAudioTrack as MediaStreamTrack | undefined;
  }

  get screen(): MediaStream | undefined {
    return this.#publications.screen;
  }

  /** The name of a participant who is or was in the call. */
  nameOfParticipant(id: string): string {
    return this.#names.get(id) ?? "A participant";
  }

  notify(sentence: string | undefined): void {
    this.notice = sentence;
    this.changed();
  }

  async toggleScreen(): Promise<void> {
    if (this.screen) return this.#stopScreen();
    try {
      const screen = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 }, audio: true });
      if (this.ending) screen.getTracks().forEach((track) => track.stop());
      else this.#publications.startScreen(screen, () => this.#stopScreen());
      this.changed();
    } catch (error) {
      // NotAllowedError is the participant's own "Cancel".
      if (error instanceof DOMException && error.name === "NotAllowedError") return;
      this.notify("Your screen could not be shared.");
    }
  }

  /** Send a message to all participants, or to one. Resolves to whether it was sent. */
  async send(text: string, recipient: string | undefined): Promise<boolean> {
    try {
      await this.#messages.send(text, recipient);
    } catch (error) {
      console.warn(error);
      this.notify("Your message was not sent. Try again.");
      return false;
    }
    // Janus sends a message for all back to its author too, a private one to its recipient only: show that here.
    if (recipient !== undefined) {
      this.chat.add({ text, from: "You", isOwn: true, privateTo: this.nameOfParticipant(recipient) });
    }
    return true;
  }

  async useToken(token: string): Promise<void> {
    if (!this.ending) await within(TOKEN_MILLIS, "the new token", this.room.updateClientToken(token));
  }

  /** Leave the call; further calls do nothing. */
  leave(): void {
    if (this.ending || this.#wasLeaving) return;
    this.#wasLeaving = true;
    // The SDK sends its goodbye and closes its socket; the page does not wait for that.
    this.room.disconnect().catch((error: unknown) => console.warn(error));
    this.#end();
  }

  #begin(): void {
    this.onChange(() => this.#subscribe());
    this.#sync(this.room.getState());
    this.#isConnected = true;
    this.#publications.syncDevices();
    void this.socket.closed.then(() => this.#end());
    this.#checkTimer = setInterval(() => this.#check(), CHECK_MILLIS);
  }

  /** Check media and signaling, because the SDK notices neither lost media nor a dead socket. */
  #check(): void {
    const health = mediaHealth();
    const { received } = this.socket;
    const before = this.#checks;
    const checks = {
      received,
      silent: received === before.received ? before.silent + 1 : 0,
      interrupted: health === "good" ? 0 : before.interrupted + 1,
      failed: health === "failed" ? before.failed + 1 : 0,
    };
    this.#checks = checks;
    const isInterrupted = checks.interrupted >= INTERRUPTED_CHECKS;
    if (isInterrupted !== this.isInterrupted) {
      this.isInterrupted = isInterrupted;
      this.changed();
    }
    const isSilent = checks.silent >= (isInterrupted ? SILENT_CHECKS_WITHOUT_MEDIA : SILENT_CHECKS);
    this.#hasLostMedia = checks.failed >= FAILED_CHECKS;
    if (!this.#hasLostMedia && !isSilent) return;
    // If the goodbye arrives, it frees the participant's seat. The ending is decided already.
    this.#end();
    this.room.disconnect().catch((error: unknown) => console.warn(error));
  }

  #listen(): void {
    const { room } = this;
    // Read the whole state at each change, so that changes during the connect are not missed.
    room.on("state_changed", (state) => this.#sync(state));
    room.on("disconnected", () => this.#end());
    room.on("participant_joined", (id) => this.#announce(`${this.nameOfParticipant(id)} joined.`));
    room.on("participant_left", (id) => this.#announce(`${this.nameOfParticipant(id)} left.`));
    room.on("participant_leaving", (id, reason) => {
      if (reason === "kicked" && id === room.getState().localParticipantId) this.#wasKicked = true;
    });
    room.on("audio_activity", (id) => this.#showSpeaking(id));
    room.on("track_censored", (id) => this.#notifyIfSelf(id, "The meeting's operator has muted you."));
    room.on("track_uncensored", (id) => this.#notifyIfSelf(id, "You can be heard again."));
    room.on("message_received", (from, message, recipients) => {
      if (!this.#messages.isNew(from, message)) return;
      const isOwn = from === room.getState().localParticipantId;
      const privateTo = recipients?.length ? "you" : undefined;
      this.chat.add({ text: String(message.payload), from: this.nameOfParticipant(from), isOwn, privateTo });
    });
  }

  #sync(state: State): void {
    if (this.ending || state.status === "disconnected") return;
    for (const { id, context } of state.participants.values()) this.#names.set(id, displayName(null, context));
    this.changed();
  }

  /** Subscribe outside the SDK's callback, because it announces a stream before addSubscription accepts it. */
  #subscribe(): void {
    if (!this.ending) this.#subscriptions.sync(this.room.getState());
  }

  #showSpeaking(id: string): void {
    clearTimeout(this.#speaking.get(id));
    const timer = setTimeout(() => {
      this.#speaking.delete(id);
      this.changed();
    }, SPEAKING_MILLIS);
    this.#speaking.set(id, timer);
    this.changed();
  }

  #notifyIfSelf(id: string, sentence: string): void {
    if (id === this.room.getState().localParticipantId) this.notify(sentence);
  }

  #announce(sentence: string): void {
    this.announcement = sentence;
    this.changed();
  }

  #stopScreen(): void {
    this.#publications.stopScreen();
    this.changed();
  }

  #end(): void {
    if (this.ending) return;
    const { refusal, closeCode } = this.socket;
    const [wasLeaving, wasKicked, hasLostMedia] = [this.#wasLeaving, this.#wasKicked, this.#hasLostMedia];
    this.ending = endingOf({ wasLeaving, wasKicked, hasLostMedia, refusal, closeCode });
    clearInterval(this.#checkTimer);
    this.#unsubscribeDevices();
    for (const timer of this.#speaking.values()) clearTimeout(timer);
    this.screen?.getTracks().forEach((track) => track.stop());
    closePeerConnections();
    this.changed();
  }
}

/** The promise's outcome; NotJoined when the socket closes first, the signal aborts, or 25 s have passed. */
async function untilClosed<T>(
  socket: SocketWatch,
  promise: Promise<T>,
  stage: "signaling" | "media",
  signal: AbortSignal,
): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const stop = (): void => reject(new NotJoined(ending("lost")));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  const closed = socket.closed.then((): never => {
    const { refusal, closeCode } = socket;
    const reason = endingOf({ wasLeaving: false, wasKicked: false, hasLostMedia: false, refusal, closeCode });
    throw new NotJoined(reason.kind === "lost" && !refusal && stage === "signaling" ? ending("unreachable") : reason);
  });
  try {
    return await within(CONNECT_MILLIS, stage, Promise.race([promise, closed, aborted]));
  } catch (error) {
    if (error instanceof NotJoined) throw error;
    if (!(error instanceof DeadlineExceeded)) console.error(error);
    throw new NotJoined(ending(stage === "media" && socket.closeCode === undefined ? "media" : "unreachable"));
  }
}
