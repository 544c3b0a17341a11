/** The server's address, which may have a path: `https://example.com/video/` for the page `https://example.com/video/meet/...`. */

// The build is in `assets/` below that path; `vite dev` serves this file as `src/shared/base.ts`.
const BASE = import.meta.url.replace(/(?:assets|src\/shared)\/[^/]+$/, "");

/** The URL of a path on this server, such as `v2/rooms`. */
export function serverUrl(path: string): string {
  return new URL(path, BASE).href;
}
