/** Objects that call listeners after they changed, and the Preact hook that renders again then. */
import { useEffect, useReducer } from "preact/hooks";

export class Observable {
  #listeners = new Set<() => void>();
  #isScheduled = false;

  /** Call `listener` after each change. Returns a function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Call the listeners in a microtask: once for all changes until then. */
  protected changed(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      for (const listener of this.#listeners) listener();
    });
  }
}

/** Renders again whenever the source changes. */
export function useChanges(source: Observable): void {
  const [, again] = useReducer((count: number, _: void) => count + 1, 0);
  useEffect(() => source.onChange(() => again()), [source]);
}
