/** Which screen the meeting page shows, and why it changes: lobby, call, waiting to rejoin, end. */
import { Call, NotJoined } from "./call/call";
import { Chat } from "./call/chat";
import { ending, endingOfGrant, type Ending } from "./call/ending";
import { pauseOf, planAfterCall, planAfterFirstTry, planAfterTry, tokenStepOf, type Plan, type TokenStep } from "./call/rejoin";
import type { Devices } from "./call/devices";
import { GrantRefused, isFresh, keepFresh, readRoom, requestGrant, renew, type Grant, type RoomFacts } from "./call/grant";
import type { Invited } from "./call/link";
import { Observable } from "../shared/observable";
import { StoredText } from "../shared/storage";

export type Screen =
  | { name: "lobby"; isJoining: boolean; notice: string | undefined }
  | { name: "call"; call: Call }
  /** The page tries to join again; `dueAt` is the `performance.now()` of the next try, undefined while it tries. */
  | { name: "waiting"; plan: Plan; dueAt: number | undefined }
  | { name: "ended"; ending: Ending };

const RECORDING_NOTICE = "This meeting is recorded now. Press Join again if that is all right with you.";
const RETURN_NOTICE = "You are back in the call.";
const RETURN_NOTICE_MILLIS = 6_000;
const storedName = new StoredText("localStorage", "portico.name");

export class Visit extends Observable {
  screen: Screen = { name: "lobby", isJoining: false, notice: undefined };
  name = storedName.get();
  room: RoomFacts = { uniqueName: null, isRecorded: false };

  #grant: Grant | undefined;
  #chat = new Chat();
  #try: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly roomId: string,
    private readonly entry: Invited,
    readonly devices: Devices,
  ) {
    super();
  }

  /** Open the devices and read the room, so that a wrong link shows at once. */
  open(): void {
    void this.devices.open();
    void this.#readRoom().catch((error: unknown) => {
      // A token in the link is checked by the join, whose refusal says more than this request.
      if (this.entry.kind === "invite" && this.screen.name === "lobby") this.#end(endingOfError(error));
    });
    window.addEventListener("online", () => this.tryNow());
    document.addEventListener("visibilitychange", () => {
      // The device woke up: try now instead of waiting for the timer.
      if (document.visibilityState === "visible" && this.#isPausing()) this.tryNow();
    });
  }

  setName(name: string): void {
    this.name = name;
    this.changed();
  }

  async join(): Promise<void> {
    storedName.set(this.name.trim());
    this.#chat = new Chat();
    const wasRecorded = this.room.isRecorded;
    this.#show({ name: "lobby", isJoining: true, notice: undefined });
    // Recording may have been enabled since the lobby was opened. An invalid link is reported by the join below.
    await this.#readRoom().catch((error: unknown) => console.info(error));
    if (this.room.isRecorded && !wasRecorded) return this.#show({ name: "lobby", isJoining: false, notice: RECORDING_NOTICE });
    await this.#tryToJoin(undefined);
  }

  /** While the page waits to rejoin: try now. A try that is under way is aborted. */
  tryNow(): void {
    if (this.screen.name === "waiting") void this.#tryToJoin(this.screen.plan);
  }

  /** Stop trying to rejoin, and show the end. */
  giveUp(): void {
    if (this.screen.name === "waiting") this.#end(this.screen.plan.ending);
  }

  backToLobby(): void {
    this.#show({ name: "lobby", isJoining: false, notice: undefined });
    if (!this.devices.audio && !this.devices.video) void this.devices.open();
  }

  async #tryToJoin(plan: Plan | undefined): Promise<void> {
    this.#stop();
    const { signal } = (this.#try = new AbortController());
    const step = plan ? tokenStepOf(plan) : "keep";
    if (plan) this.#show({ name: "waiting", plan, dueAt: undefined });
    try {
      const grant = (this.#grant = await this.#grantFor(step));
      if (signal.aborted) return;
      const { roomId, devices } = this;
      const name = this.name.trim() || "Guest";
      const call = await Call.join({ roomId, token: grant.token, name, devices, chat: this.#chat, signal });
      if (signal.aborted) call.leave();
      else this.#onJoined(call, grant, plan !== undefined);
    } catch (error) {
      if (!signal.aborted) this.#onTryFailed(endingOfError(error), plan, step);
    }
  }

  async #grantFor(step: TokenStep): Promise<Grant> {
    const { roomId, entry } = this;
    const grant = this.#grant;
    if (!grant || step === "redeem") return requestGrant(roomId, entry);
    return step === "keep" && isFresh(grant) ? grant : renew(roomId, entry, grant);
  }

  #onJoined(call: Call, grant: Grant, isRejoin: boolean): void {
    const stopRenewing = keepFresh(this.roomId, this.entry, grant, (fresh) => {
      this.#grant = fresh;
      return call.useToken(fresh.token);
    });
    const leave = (): void => call.leave();
    window.addEventListener("pagehide", leave);
    this.#show({ name: "call", call });
    const checkEnd = (): void => {
      if (!call.ending) return;
      unsubscribe();
      stopRenewing();
      window.removeEventListener("pagehide", leave);
      this.#onCallEnd(call.ending);
    };
    const unsubscribe = call.onChange(checkEnd);
    checkEnd(); // the call may have ended before onChange was called
    if (isRejoin && !call.ending) this.#confirmReturn(call);
    void this.#readRoom().catch((error: unknown) => console.info(error));
  }

  #confirmReturn(call: Call): void {
    call.notify(RETURN_NOTICE);
    setTimeout(() => {
      if (call.notice === RETURN_NOTICE) call.notify(undefined);
    }, RETURN_NOTICE_MILLIS);
  }

  #onCallEnd(cause: Ending): void {
    const plan = planAfterCall(this.#withoutOtherToken(cause), performance.now());
    if (plan) this.#pause(plan);
    else this.#end(cause);
  }

  #onTryFailed(cause: Ending, plan: Plan | undefined, step: TokenStep): void {
    const possible = this.#withoutOtherToken(cause);
    const now = performance.now();
    const next = plan ? planAfterTry(plan, step, possible, now) : planAfterFirstTry(possible, now);
    if (next) this.#pause(next);
    else this.#end(possible.kind === "expired" ? { ...possible, kind: "refused" } : possible);
  }

  /** The ending, with "refused" for "expired" where the link holds a token: it gives no other token. */
  #withoutOtherToken(cause: Ending): Ending {
    return cause.kind === "expired" && this.entry.kind === "token" ? { ...cause, kind: "refused" } : cause;
  }

  #pause(plan: Plan): void {
    this.#stop();
    const millis = pauseOf(plan, Math.random());
    this.#timer = setTimeout(() => this.tryNow(), millis);
    this.#show({ name: "waiting", plan, dueAt: performance.now() + millis });
  }

  #isPausing(): boolean {
    return this.screen.name === "waiting" && this.screen.dueAt !== undefined;
  }

  #end(cause: Ending): void {
    this.#stop();
    this.devices.close();
    this.#show({ name: "ended", ending: cause });
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#try?.abort();
    this.#try = undefined;
  }

  async #readRoom(): Promise<void> {
    this.room = await readRoom(this.roomId, this.entry);
    this.changed();
  }

  #show(screen: Screen): void {
    this.screen = screen;
    this.changed();
  }
}

function endingOfError(error: unknown): Ending {
  if (error instanceof NotJoined) return error.ending;
  if (error instanceof GrantRefused) return endingOfGrant(error);
  console.error(error);
  return ending("lost");
}
