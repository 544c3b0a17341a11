/** Promises that end: the SDK has no error branch, so every wait for it gets a deadline of ours. */

export class DeadlineExceeded extends Error {
  constructor(what: string, millis: number) {
    super(`${what} took longer than ${millis / 1000} s`);
  }
}

/** The promise's own outcome, or DeadlineExceeded after `millis`; the promise itself cannot be stopped. */
export function within<T>(millis: number, what: string, promise: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlineExceeded(what, millis)), millis);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
