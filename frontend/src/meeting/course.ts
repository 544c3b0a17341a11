/** The course of a visit: lobby, call, the search for a lost call, end, and back. */
import { Call, NotJoined } from "./call/call";
import { Chat } from "./call/chat";
import { ending, endingOfGrant, type Ending } from "./call/ending";
import { pauseOf, planAfterCall, planAfterFirstTry, planAfterTry, tokenStepOf, type Plan, type TokenStep } from "./call/rejoin";
import type { Devices } from "./call/devices";
import { GrantRefused, isFresh, keepFresh, lookAt, obtain, renew, type Grant, type RoomFacts } from "./call/grant";
import type { Entry } from "./call/link";
import { Observable } from "../shared/observable";
import { Remembered } from "../shared/storage";

export type Invited = Exclude<Entry, { kind: "none" }>;
export type Screen =
  | { name: "lobby"; isJoining: boolean; notice: string | undefined }
  | { name: "call"; call: Call }
  /** The page tries to join again; `dueAt` is the `performance.now()` of the next try, undefined while it tries. */
  | { name: "waiting"; plan: Plan; dueAt: number | undefined }
  | { name: "ended"; ending: Ending };

const NOW_RECORDED = "This meeting is recorded now. Press Join again if that is all right with you.";
const IS_BACK = "You are back in the call.";
const IS_BACK_MILLIS = 6_000;
const storedName = new Remembered("localStorage", "portico.name");

export class Course extends Observable {
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

  /** Asks for the devices, and what is behind the link: a wrong one shows at once. */
  open(): void {
    void this.devices.open();
    void this.#readRoom().catch((error: unknown) => {
      // A token is checked when it is used; an old one may still be good for nothing but its own sentence.
      if (this.entry.kind === "invite" && this.screen.name === "lobby") this.#end(endingOfError(error));
    });
    window.addEventListener("online", () => this.tryNow());
    document.addEventListener("visibilitychange", () => {
      // A device that wakes up should not wait for the next turn.
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
    const couldKnow = this.room.isRecorded;
    this.#show({ name: "lobby", isJoining: true, notice: undefined });
    // Whether it is recorded may have changed since this lobby was opened; the try itself shows whether the link is good.
    await this.#readRoom().catch((error: unknown) => console.info(error));
    if (this.room.isRecorded && !couldKnow) return this.#show({ name: "lobby", isJoining: false, notice: NOW_RECORDED });
    await this.#attempt(undefined);
  }

  /** While the page waits for its next try: try at once. A try that is under way is given up for the new one. */
  tryNow(): void {
    if (this.screen.name === "waiting") void this.#attempt(this.screen.plan);
  }

  /** Stops trying. */
  giveUp(): void {
    if (this.screen.name === "waiting") this.#end(this.screen.plan.ending);
  }

  backToLobby(): void {
    this.#show({ name: "lobby", isJoining: false, notice: undefined });
    if (!this.devices.audio && !this.devices.video) void this.devices.open();
  }

  async #attempt(plan: Plan | undefined): Promise<void> {
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
      else this.#began(call, grant, plan !== undefined);
    } catch (error) {
      if (!signal.aborted) this.#failed(endingOfError(error), plan, step);
    }
  }

  async #grantFor(step: TokenStep): Promise<Grant> {
    const { roomId, entry } = this;
    const grant = this.#grant;
    if (!grant || step === "redeem") return obtain(roomId, entry);
    return step === "keep" && isFresh(grant) ? grant : renew(roomId, entry, grant);
  }

  #began(call: Call, grant: Grant, isBack: boolean): void {
    const stopRenewing = keepFresh(this.roomId, this.entry, grant, (fresh) => {
      this.#grant = fresh;
      return call.useToken(fresh.token);
    });
    const leave = (): void => call.leave();
    window.addEventListener("pagehide", leave);
    this.#show({ name: "call", call });
    const checkEnd = (): void => {
      if (!call.ending) return;
      forget();
      stopRenewing();
      window.removeEventListener("pagehide", leave);
      this.#lost(call.ending);
    };
    const forget = call.onChange(checkEnd);
    checkEnd(); // it may have ended before anybody listened
    if (isBack && !call.ending) this.#welcomeBack(call);
    void this.#readRoom().catch((error: unknown) => console.info(error));
  }

  #welcomeBack(call: Call): void {
    call.notify(IS_BACK);
    setTimeout(() => {
      if (call.notice === IS_BACK) call.notify(undefined);
    }, IS_BACK_MILLIS);
  }

  #lost(how: Ending): void {
    const plan = planAfterCall(this.#possible(how), performance.now());
    if (plan) this.#pause(plan);
    else this.#end(how);
  }

  #failed(how: Ending, plan: Plan | undefined, step: TokenStep): void {
    const possible = this.#possible(how);
    const now = performance.now();
    const next = plan ? planAfterTry(plan, step, possible, now) : planAfterFirstTry(possible, now);
    if (next) this.#pause(next);
    else this.#end(possible.kind === "expired" ? { ...possible, kind: "refused" } : possible);
  }

  /** A link with somebody's own token in it brings no other token. */
  #possible(how: Ending): Ending {
    return how.kind === "expired" && this.entry.kind === "token" ? { ...how, kind: "refused" } : how;
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

  #end(how: Ending): void {
    this.#stop();
    this.devices.close();
    this.#show({ name: "ended", ending: how });
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#try?.abort();
    this.#try = undefined;
  }

  async #readRoom(): Promise<void> {
    this.room = await lookAt(this.roomId, this.entry);
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
