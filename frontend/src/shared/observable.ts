/** A thing that tells when it changed, and the Preact hook that re-renders on it. */
import { useEffect, useReducer } from "preact/hooks";

export class Observable {
  #listeners = new Set<() => void>();
  #announced = false;

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Many changes in one turn of the event loop are told once. */
  protected changed(): void {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      for (const listener of this.#listeners) listener();
    });
  }
}

/** Renders again whenever the source changes. */
export function useChanges(source: Observable): void {
  const [, again] = useReducer((count: number, _: void) => count + 1, 0);
  useEffect(() => source.onChange(() => again()), [source]);
}
