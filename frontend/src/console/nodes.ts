/** The media nodes of the installation, read again every 5 s. Empty for keys that may not see them, and on one machine. */
import { Observable } from "../shared/observable";
import { Refused, type MediaNode, type NodeAction, type Rest } from "./rest";

const PAUSE_MILLIS = 5_000;

export class Nodes extends Observable {
  nodes: MediaNode[] = [];
  /** Why the last action did not succeed, as a sentence. */
  problem: string | undefined;

  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(private readonly rest: Rest) {
    super();
  }

  start(): void {
    void this.#read();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async act(node: MediaNode, action: NodeAction): Promise<void> {
    try {
      const changed = await this.rest.changeMediaNode(node.id, action);
      this.nodes = this.nodes.map((each) => (each.id === changed.id ? changed : each));
      this.problem = undefined;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.problem = error.message;
    }
    this.changed();
  }

  async #read(): Promise<void> {
    try {
      this.nodes = await this.rest.mediaNodes();
      this.changed();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // The list of sessions shows an outage and a refused key; a key without this right sees no nodes.
      if (error.status === 403) return;
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#read(), PAUSE_MILLIS);
  }
}
