/** The newest sessions with what was saved of them, kept up to date while somebody looks. */
import { Observable } from "../shared/observable";
import { Refused, type Film, type Recording, type Rest, type Session } from "./rest";

const CALM_MILLIS = 10_000;
const BUSY_MILLIS = 1_000;
const SESSIONS_STEP = 10;
const SESSIONS_MAX = 250;

export class Archive extends Observable {
  sessions: Session[] = [];
  recordings: Recording[] = [];
  films: Film[] = [];
  roomNames = new Map<string, string | null>();
  /** False until the first answer. */
  isRead = false;
  hasOlder = false;
  /** Why what is shown may be old; undefined when it is not. */
  trouble: string | undefined;
  /** The key is not good (any more). */
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
    // The network is back: nobody should wait for the next turn.
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

  /** Raises Refused. */
  async makeFilm(sessionId: string): Promise<void> {
    const film = await this.rest.makeFilm(sessionId);
    this.films = [film, ...this.films];
    this.changed();
    void this.#read(false);
  }

  /** Everything, or the films alone; then plans the next turn. A newer turn takes the place of an older one. */
  async #read(everything: boolean): Promise<void> {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    let pause = CALM_MILLIS;
    try {
      const fresh = await this.#fetch(everything);
      if (this.#stopped || turn !== this.#turn) return;
      Object.assign(this, fresh, { trouble: undefined, isRead: true });
      if (everything) this.#readAllAt = performance.now();
      if (this.films.some(isUnderway)) pause = BUSY_MILLIS;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (this.#stopped || turn !== this.#turn) return;
      if (error.status === 401) this.isRefused = true;
      else this.trouble = `${error.message} Trying again.`;
    }
    this.changed();
    if (this.isRefused) return;
    const isOld = (): boolean => performance.now() - this.#readAllAt >= CALM_MILLIS - BUSY_MILLIS;
    this.#timer = setTimeout(() => void this.#read(isOld()), pause);
  }

  async #fetch(everything: boolean): Promise<Partial<Archive>> {
    const oldest = this.sessions.at(-1)?.created_at;
    if (!everything && oldest) return { films: await this.rest.films(oldest) };
    const { sessions, total } = await this.rest.sessions(this.#count);
    const since = sessions.at(-1)?.created_at;
    if (!since) return { sessions: [], recordings: [], films: [], hasOlder: false };
    const [recordings, films] = await Promise.all([
      this.rest.recordings(since),
      this.rest.films(since),
      this.#nameRooms(sessions),
    ]);
    return { sessions, recordings, films, hasOlder: total > sessions.length && this.#count < SESSIONS_MAX };
  }

  async #nameRooms(sessions: Session[]): Promise<void> {
    const unknown = new Set(sessions.map((each) => each.room_id).filter((id) => !this.roomNames.has(id)));
    await Promise.all([...unknown].map(async (id) => this.roomNames.set(id, await this.rest.roomName(id))));
  }
}

export function isUnderway(film: Film): boolean {
  return film.status === "enqueued" || film.status === "processing";
}
