/** Deadlines for promises. The SDK's promises may never settle, so the page bounds every wait for one. */

export class DeadlineExceeded extends Error {
  constructor(what: string, millis: number) {
    super(`${what} took longer than ${millis / 1000} s`);
  }
}

/** The promise's outcome, or DeadlineExceeded after `millis`. The work behind the promise is not stopped. */
export function within<T>(millis: number, what: string, promise: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlineExceeded(what, millis)), millis);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
