/** The newest sessions with their recordings and compositions, read again every 10 s, or every second during a composition. */
import { Observable } from "../shared/observable";
import { Refused, type Composition, type Recording, type Rest, type Session } from "./rest";

const IDLE_PAUSE_MILLIS = 10_000;
/** While a composition is enqueued or processed. */
const BUSY_PAUSE_MILLIS = 1_000;
const SESSIONS_STEP = 10;
const SESSIONS_MAX = 250;

export class Archive extends Observable {
  sessions: Session[] = [];
  recordings: Recording[] = [];
  compositions: Composition[] = [];
  roomNames = new Map<string, string | null>();
  /** False until the first answer. */
  isRead = false;
  hasOlder = false;
  /** Why the shown data may be old, as a sentence; undefined after a successful read. */
  problem: string | undefined;
  /** The server refused the API key. */
  isRefused = false;

  #count = SESSIONS_STEP;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  #turn = 0;
  #readAllAt = 0;
  readonly #readAgain = (): void => void this.#read(true);

  constructor(private readonly rest: Rest) {
    super();
  }

  start(): void {
    // When the network is back, read at once instead of at the next turn.
    window.addEventListener("online", this.#readAgain);
    void this.#read(true);
  }

  stop(): void {
    this.#stopped = true;
    window.removeEventListener("online", this.#readAgain);
    clearTimeout(this.#timer);
  }

  showOlder(): void {
    this.#count = Math.min(this.#count + SESSIONS_STEP, SESSIONS_MAX);
    void this.#read(true);
  }

  /** Create a composition of the whole session. Throws Refused. */
  async createComposition(sessionId: string): Promise<void> {
    const composition = await this.rest.createComposition(sessionId);
    this.compositions = [composition, ...this.compositions];
    this.changed();
    void this.#read(false);
  }

  /** Read everything, or the compositions alone, then schedule the next read. The answer of an older read is dropped. */
  async #read(everything: boolean): Promise<void> {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    let pause = IDLE_PAUSE_MILLIS;
    try {
      const fresh = await this.#fetch(everything);
      if (this.#stopped || turn !== this.#turn) return;
      Object.assign(this, fresh, { problem: undefined, isRead: true });
      if (everything) this.#readAllAt = performance.now();
      if (this.compositions.some(isUnderway)) pause = BUSY_PAUSE_MILLIS;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (this.#stopped || turn !== this.#turn) return;
      if (error.status === 401) this.isRefused = true;
      else this.problem = `${error.message} Trying again.`;
    }
    this.changed();
    if (this.isRefused) return;
    const isOld = (): boolean => performance.now() - this.#readAllAt >= IDLE_PAUSE_MILLIS - BUSY_PAUSE_MILLIS;
    this.#timer = setTimeout(() => void this.#read(isOld()), pause);
  }

  async #fetch(everything: boolean): Promise<Partial<Archive>> {
    const oldest = this.sessions.at(-1)?.created_at;
    if (!everything && oldest) return { compositions: await this.rest.compositions(oldest) };
    const { sessions, total } = await this.rest.sessions(this.#count);
    const since = sessions.at(-1)?.created_at;
    if (!since) return { sessions: [], recordings: [], compositions: [], hasOlder: false };
    const [recordings, compositions] = await Promise.all([
      this.rest.recordings(since),
      this.rest.compositions(since),
      this.#nameRooms(sessions),
    ]);
    return { sessions, recordings, compositions, hasOlder: total > sessions.length && this.#count < SESSIONS_MAX };
  }

  async #nameRooms(sessions: Session[]): Promise<void> {
    const unknown = new Set(sessions.map((each) => each.room_id).filter((id) => !this.roomNames.has(id)));
    await Promise.all([...unknown].map(async (id) => this.roomNames.set(id, await this.rest.roomName(id))));
  }
}

/** Whether the composition is enqueued or processed. */
export function isUnderway(composition: Composition): boolean {
  return composition.status === "enqueued" || composition.status === "processing";
}
