/** Where this server is: the pages may live below a path, such as `https://example.com/video/meet/...`. */

// The build is in `assets/` below that path; `vite dev` serves this file as `src/shared/base.ts`.
const BASE = import.meta.url.replace(/(?:assets|src\/shared)\/[^/]+$/, "");

/** The address of a path of the server, such as `v2/rooms`. */
export function serverUrl(path: string): string {
  return new URL(path, BASE).href;
}
