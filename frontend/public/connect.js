/**
 * Connects the unmodified Telnyx video SDK to this server.
 *
 * Load it before the SDK, with a plain script element whose src is `http://HOST:PORT/connect.js` of your server.
 *
 * The SDK opens `wss://video.telnyx.com/<room>/janus`, and that host cannot be configured. This script wraps
 * `window.WebSocket` so that connections to that host go to the server that the script was loaded from. Other addresses
 * do not change. With a bundler, import the file and call `Portico.connect("https://meet.example.com")`.
 */
(function () {
  "use strict";

  const HOSTED = "video.telnyx.com";
  const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
  // The path before the file's name is kept: a server may be below a path of a shared host.
  const origin = script && script.src ? new URL(".", script.src).href : null;

  // Loaded a second time in the same page: the first wrapper stays and uses the new address.
  if (window.Portico) {
    if (origin) window.Portico.connect(origin);
    return;
  }

  /** @type {URL | null} */
  let base = null;

  /** @param {string | URL} url */
  function redirected(url) {
    if (!base) return url;
    /** @type {URL} */
    let wanted;
    try {
      wanted = new URL(url, document.baseURI);
    } catch {
      return url; // The native constructor throws for an invalid URL.
    }
    if (wanted.hostname !== HOSTED) return url;
    const prefix = base.pathname.replace(/\/$/, "");
    return (base.protocol === "https:" ? "wss://" : "ws://") + base.host + prefix + wanted.pathname + wanted.search;
  }

  // A Proxy instead of a subclass, so that constants, `instanceof` and further subclasses keep working.
  window.WebSocket = new Proxy(window.WebSocket, {
    construct(target, args, newTarget) {
      const [url, ...rest] = args;
      return Reflect.construct(target, args.length ? [redirected(url), ...rest] : args, newTarget);
    },
  });

  window.Portico = {
    /**
     * Connect the SDK to the server at `address` from now on.
     * @param {string} address an http(s) or ws(s) URL, such as `https://meet.example.com`
     */
    connect(address) {
      const wanted = new URL(address, document.baseURI);
      const protocol = wanted.protocol.replace(/^ws/, "http");
      if (protocol !== "http:" && protocol !== "https:") {
        throw new TypeError(`Portico.connect needs an http or https address, not ${address}`);
      }
      base = new URL(protocol + "//" + wanted.host + wanted.pathname);
    },
    /** The URL of the server in use; null before the first `connect`. */
    get server() {
      return base && base.href;
    },
  };

  if (origin && /^https?:/.test(origin)) window.Portico.connect(origin);
})();
