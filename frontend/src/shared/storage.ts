/** Texts in the browser's storage. Where a browser blocks site data, the page keeps them in memory until it is closed. */

type Area = "localStorage" | "sessionStorage";

export class StoredText {
  #inPage: string | undefined;

  /** `area` is `localStorage` (all tabs, permanent) or `sessionStorage` (this tab, until it is closed). */
  constructor(
    private readonly area: Area,
    private readonly key: string,
  ) {}

  get(): string {
    if (this.#inPage !== undefined) return this.#inPage;
    // Where site data are blocked, reading the property throws SecurityError.
    return attempt(() => window[this.area].getItem(this.key)) ?? "";
  }

  set(value: string): void {
    this.#inPage = value;
    attempt(() => window[this.area].setItem(this.key, value));
  }

  delete(): void {
    this.#inPage = "";
    attempt(() => window[this.area].removeItem(this.key));
  }
}

function attempt<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch {
    return undefined; // The storage is blocked or full.
  }
}
