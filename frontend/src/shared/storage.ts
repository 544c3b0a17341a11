/** What the browser remembers for the page. Where site data are blocked, the page itself remembers until it is closed. */

type Area = "localStorage" | "sessionStorage";

export class Remembered {
  #inPage: string | undefined;

  /** `area` is the browser's storage: of all tabs and for good, or of this tab alone. */
  constructor(
    private readonly area: Area,
    private readonly key: string,
  ) {}

  get(): string {
    if (this.#inPage !== undefined) return this.#inPage;
    // Even to look at the property raises SecurityError where site data are blocked.
    return attempt(() => window[this.area].getItem(this.key)) ?? "";
  }

  set(value: string): void {
    this.#inPage = value;
    attempt(() => window[this.area].setItem(this.key, value));
  }

  forget(): void {
    this.#inPage = "";
    attempt(() => window[this.area].removeItem(this.key));
  }
}

function attempt<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch {
    return undefined; // Blocked, or full.
  }
}
