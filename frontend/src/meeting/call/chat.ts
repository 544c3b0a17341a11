/** The messages of one visit, at most KEPT_LINES, and the number of unread ones. */
import { Observable } from "../../shared/observable";

export interface ChatLine {
  id: number;
  at: Date;
  text: string;
  from: string;
  isOwn: boolean;
  /** The recipient of a private message, "you" for the own participant; undefined for a message to all. */
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
