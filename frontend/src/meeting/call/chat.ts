/** The messages of one call, kept up to a limit. */
import { Observable } from "../../shared/observable";

export interface ChatLine {
  id: number;
  at: Date;
  text: string;
  from: string;
  isOwn: boolean;
  /** To whom a private message went; undefined when everybody got it. */
  privateTo: string | undefined;
}

const KEPT_LINES = 300;
export const LONGEST_TEXT = 2000;

export class Chat extends Observable {
  lines: readonly ChatLine[] = [];
  unread = 0;
  #isOpen = false;
  #nextId = 1;

  get isOpen(): boolean {
    return this.#isOpen;
  }

  setOpen(isOpen: boolean): void {
    this.#isOpen = isOpen;
    if (isOpen) this.unread = 0;
    this.changed();
  }

  add(line: Omit<ChatLine, "id" | "at">): void {
    const text = line.text.slice(0, LONGEST_TEXT);
    this.lines = [...this.lines, { ...line, text, id: this.#nextId++, at: new Date() }].slice(-KEPT_LINES);
    if (!this.#isOpen && !line.isOwn) this.unread += 1;
    this.changed();
  }
}
