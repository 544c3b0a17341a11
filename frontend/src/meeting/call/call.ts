/** One call: the official SDK's room behind deadlines, told to the page as plain values. */
import { initialize, type Room, type State } from "@telnyx/video";
import { DeadlineExceeded, within } from "../../shared/deadline";
import type { Devices } from "./devices";
import { Observable } from "../../shared/observable";
import { closePeerConnections, mediaHealth, nextSocket, type SocketWatch } from "./browser";
import { Chat } from "./chat";
import { ending, endingOf, type Ending } from "./ending";
import { displayName } from "../../shared/names";
import { Messages } from "./messages";
import { peopleOf, type Person } from "./people";
import { Publications } from "./publications";
import { Subscriptions } from "./subscriptions";

const CONNECT_MILLIS = 25_000;
const TOKEN_MILLIS = 10_000;
/** The SDK tells when somebody starts to talk and never when they stop. */
const SPEAKING_MILLIS = 2_500;
const WATCH_MILLIS = 1_000;
/** Looks in a row at which the media have failed, or nothing came over the signaling socket, before the call is lost.
 * They are counted and not timed: while a device sleeps, none is made. */
const FAILED_LOOKS = 3;
const SILENT_LOOKS = 30;
const SILENT_LOOKS_WITHOUT_MEDIA = 10;
/** Shorter interruptions are not worth a word. */
const INTERRUPTED_LOOKS = 2;

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
  /** The messages so far: a call that was lost and found again keeps them. */
  chat: Chat;
  /** Gives the try up; what was begun is closed. */
  signal: AbortSignal;
}

export class Call extends Observable {
  /** The newest thing the person should know; undefined when there is none. */
  notice: string | undefined;
  ending: Ending | undefined;
  /** No media pass at the moment; it may mend itself. */
  isInterrupted = false;
  /** A short sentence for screen readers: who came, who went. */
  announcement = "";

  readonly #names = new Map<string, string>();
  readonly #speaking = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #messages: Messages;
  readonly #publications: Publications;
  readonly #subscriptions: Subscriptions;
  readonly #forgetDevices: () => void;
  /** The SDK takes streams only from then on; what the devices did before is published at that moment. */
  #isConnected = false;
  #wasLeaving = false;
  #wasKicked = false;
  #hasLostMedia = false;
  #watch: ReturnType<typeof setInterval> | undefined;
  #looks = { received: 0, silent: 0, interrupted: 0, failed: 0 };

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
    this.#forgetDevices = devices.onChange(() => {
      if (this.#isConnected && !this.ending) this.#publications.syncDevices();
      this.changed();
    });
    this.#listen();
  }

  /** Rejects with NotJoined: within 25 s per step, although the SDK itself would wait longer or for ever. */
  static async join({ roomId, token, name, devices, chat, signal }: JoinOptions): Promise<Call> {
    const opened = nextSocket();
    const context = JSON.stringify({ username: name });
    const initialized = initialize({ roomId, clientToken: token, context, enableMessages: true, logLevel: "ERROR" });
    const socket = await within(CONNECT_MILLIS, "signaling", opened);
    const room = await untilClosed(socket, initialized, "signaling", signal).catch((error: unknown) => {
      // Should it come up after all, nobody waits for it any more.
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

  get people(): Person[] {
    return peopleOf(this.room.getState(), new Set(this.#speaking.keys()));
  }

  get mixedAudio(): MediaStreamTrack | undefined {
    return this.room.getState().mixedAudioTrack as MediaStreamTrack | undefined;
  }

  get screen(): MediaStream | undefined {
    return this.#publications.screen;
  }

  /** Everybody's name, also of those who have left. */
  nameOfParticipant(id: string): string {
    return this.#names.get(id) ?? "Somebody";
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
      // NotAllowedError is the person's own "Cancel".
      if (error instanceof DOMException && error.name === "NotAllowedError") return;
      this.notify("Your screen could not be shared.");
    }
  }

  /** To everybody, or to one participant. Resolves to whether it was sent. */
  async send(text: string, recipient: string | undefined): Promise<boolean> {
    try {
      await this.#messages.send(text, recipient);
    } catch (error) {
      console.warn(error);
      this.notify("Your message was not sent. Try again.");
      return false;
    }
    // The server sends a message for everybody back to its author as well, a private one only to its recipient.
    if (recipient !== undefined) {
      this.chat.add({ text, from: "You", isOwn: true, privateTo: this.nameOfParticipant(recipient) });
    }
    return true;
  }

  async useToken(token: string): Promise<void> {
    if (!this.ending) await within(TOKEN_MILLIS, "the new token", this.room.updateClientToken(token));
  }

  /** Once is enough, and more does no harm. */
  leave(): void {
    if (this.ending || this.#wasLeaving) return;
    this.#wasLeaving = true;
    // The SDK says goodbye and closes its socket; there is nothing to wait for.
    this.room.disconnect().catch((error: unknown) => console.warn(error));
    this.#end();
  }

  #begin(): void {
    this.onChange(() => this.#subscribe());
    this.#sync(this.room.getState());
    this.#isConnected = true;
    this.#publications.syncDevices();
    void this.socket.closed.then(() => this.#end());
    this.#watch = setInterval(() => this.#look(), WATCH_MILLIS);
  }

  /** The SDK notices neither that media have stopped nor that a socket is dead. */
  #look(): void {
    const health = mediaHealth();
    const { received } = this.socket;
    const before = this.#looks;
    const looks = {
      received,
      silent: received === before.received ? before.silent + 1 : 0,
      interrupted: health === "good" ? 0 : before.interrupted + 1,
      failed: health === "failed" ? before.failed + 1 : 0,
    };
    this.#looks = looks;
    const isInterrupted = looks.interrupted >= INTERRUPTED_LOOKS;
    if (isInterrupted !== this.isInterrupted) {
      this.isInterrupted = isInterrupted;
      this.changed();
    }
    const isSilent = looks.silent >= (isInterrupted ? SILENT_LOOKS_WITHOUT_MEDIA : SILENT_LOOKS);
    this.#hasLostMedia = looks.failed >= FAILED_LOOKS;
    if (!this.#hasLostMedia && !isSilent) return;
    // A goodbye frees the seat, should it arrive; the SDK's own end of the call does not matter any more.
    this.#end();
    this.room.disconnect().catch((error: unknown) => console.warn(error));
  }

  #listen(): void {
    const { room } = this;
    // The state is the truth and events are hints: nothing that happened while connecting is missed this way.
    room.on("state_changed", (state) => this.#sync(state));
    room.on("disconnected", () => this.#end());
    room.on("participant_joined", (id) => this.#announce(`${this.nameOfParticipant(id)} joined.`));
    room.on("participant_left", (id) => this.#announce(`${this.nameOfParticipant(id)} left.`));
    room.on("participant_leaving", (id, reason) => {
      if (reason === "kicked" && id === room.getState().localParticipantId) this.#wasKicked = true;
    });
    room.on("audio_activity", (id) => this.#heard(id));
    room.on("track_censored", (id) => this.#moderated(id, "The meeting's operator has muted you."));
    room.on("track_uncensored", (id) => this.#moderated(id, "You can be heard again."));
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

  /** Not within the SDK's own callback: it announces a stream a moment before it can be subscribed to. */
  #subscribe(): void {
    if (!this.ending) this.#subscriptions.sync(this.room.getState());
  }

  #heard(id: string): void {
    clearTimeout(this.#speaking.get(id));
    const timer = setTimeout(() => {
      this.#speaking.delete(id);
      this.changed();
    }, SPEAKING_MILLIS);
    this.#speaking.set(id, timer);
    this.changed();
  }

  #moderated(id: string, sentence: string): void {
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
    clearInterval(this.#watch);
    this.#forgetDevices();
    for (const timer of this.#speaking.values()) clearTimeout(timer);
    this.screen?.getTracks().forEach((track) => track.stop());
    closePeerConnections();
    this.changed();
  }
}

/** The promise's outcome, unless the socket closes first, the signal comes, or it takes too long. */
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
