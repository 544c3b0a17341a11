/**
 * Connects the unmodified Telnyx video SDK to this server.
 *
 * Load it before the SDK, with a plain script element whose src is `http://HOST:PORT/connect.js` of your server.
 *
 * The SDK opens `wss://video.telnyx.com/<room>/janus`, and that host cannot be configured. This script wraps
 * `window.WebSocket` so that connections to that host go to the server that the script was loaded from. Other addresses
 * do not change. With a bundler, import the file and call `Portico.connect("https://meet.example.com")`.
 *
 * The SDK names a public STUN server for its PeerConnections, and that cannot be configured either. This script wraps
 * `window.RTCPeerConnection` so that they use the STUN and TURN servers that this server names, where it names some.
 * It also reports to this server a PeerConnection that stays disconnected, which the SDK does not do. PeerConnections
 * with other settings do not change.
 *
 * It ends a signaling socket from which nothing arrives any more, which the SDK does not do either: after a change of
 * the device's network, browsers report the end of a socket minutes later.
 */
(function () {
  "use strict";

  const HOSTED = "video.telnyx.com";
  const STUN_OF_SDK = "stun:stun.l.google.com:19302";
  // How long a PeerConnection may be disconnected before it is reported; see "Lost media" in docs/signaling.md.
  const LOST_MS = 15000;
  const BROKEN = ["disconnected", "failed"];
  // How long a socket that has sent something may be silent; see "Silent sockets" in docs/signaling.md. The SDK sends a
  // keepalive every 5 s, which is answered at once. Ticks are counted because none happens while the device sleeps.
  const TICK_MS = 1000;
  const SILENT_TICKS = 30;
  const SILENT_TICKS_WITHOUT_NETWORK = 10;
  const TIMED_OUT = 3999;
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
  /** The servers in the newest message that had some. @type {RTCIceServer[]} */
  let iceServers = [];
  /** PeerConnections of the SDK whose offer or answer was not sent yet. @type {Set<RTCPeerConnection>} */
  const unsent = new Set();

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

  /**
   * Whether the SDK makes a PeerConnection with these settings.
   * @param {RTCConfiguration | undefined} settings
   */
  function isOfSdk(settings) {
    const [server, ...others] = (settings && settings.iceServers) || [];
    return server !== undefined && !others.length && server.urls === STUN_OF_SDK;
  }

  /** The ICE user name of an SDP, which no other PeerConnection has. @param {string} sdp */
  const ufragOf = (sdp) => (/^a=ice-ufrag:(.+)$/m.exec(sdp) || [])[1];

  /**
   * The PeerConnection whose offer or answer this is, the first time that it is sent.
   * @param {string} sdp
   */
  function takeUnsent(sdp) {
    const ufrag = ufragOf(sdp);
    for (const connection of unsent) {
      const local = connection.localDescription;
      if (connection.signalingState === "closed") unsent.delete(connection);
      else if (ufrag && local && ufragOf(local.sdp) === ufrag) {
        unsent.delete(connection);
        return connection;
      }
    }
    return null;
  }

  /**
   * The handle of a message with an offer or answer, and its PeerConnection, the first time that it is sent.
   * @param {string} text
   */
  function negotiated(text) {
    try {
      const { jsep, handle_id: handle } = JSON.parse(text);
      return { handle, connection: jsep && typeof jsep.sdp === "string" ? takeUnsent(jsep.sdp) : null };
    } catch {
      return { handle: 0, connection: null }; // Not a message of the SDK.
    }
  }

  /**
   * Call `report` when the PeerConnection has been disconnected for LOST_MS.
   * @param {RTCPeerConnection} connection
   * @param {() => void} report
   */
  function watch(connection, report) {
    /** @type {number | undefined} */
    let timer;
    const isLost = () => BROKEN.includes(connection.connectionState);
    connection.addEventListener("connectionstatechange", () => {
      if (!isLost()) {
        clearTimeout(timer);
        timer = undefined;
      } else if (timer === undefined) {
        timer = window.setTimeout(() => isLost() && report(), LOST_MS);
      }
    });
  }

  /**
   * End a socket for the page, now: the browser's own closing waits a minute for a server that does not answer.
   * @param {WebSocket} socket
   */
  function end(socket) {
    const suppress = (/** @type {Event} */ event) => event.isTrusted && event.stopImmediatePropagation();
    for (const type of ["message", "error", "close"]) socket.addEventListener(type, suppress, { capture: true });
    socket.close();
    Object.defineProperty(socket, "readyState", { value: WebSocket.CLOSED });
    socket.dispatchEvent(new CloseEvent("close", { code: TIMED_OUT, reason: "the server is silent", wasClean: false }));
  }

  /**
   * End the socket when it stays silent after something was sent. Returns a function to call with each message sent.
   * @param {WebSocket} socket
   * @param {() => boolean} hasLostMedia
   */
  function endWhenSilent(socket, hasLostMedia) {
    let silent = -1; // ticks since the first message that was not followed by one of the server's
    let networkChanged = false;
    const noteChange = () => {
      networkChanged = true;
    };
    const timer = setInterval(() => {
      if (silent < 0 || socket.readyState !== WebSocket.OPEN) return;
      silent += 1;
      if (silent >= (networkChanged || hasLostMedia() ? SILENT_TICKS_WITHOUT_NETWORK : SILENT_TICKS)) end(socket);
    }, TICK_MS);
    const network = /** @type {{connection?: EventTarget}} */ (navigator).connection;
    window.addEventListener("offline", noteChange);
    window.addEventListener("online", noteChange);
    network?.addEventListener("change", noteChange);
    socket.addEventListener("message", () => {
      silent = -1;
      networkChanged = false;
    });
    socket.addEventListener("close", () => {
      clearInterval(timer);
      window.removeEventListener("offline", noteChange);
      window.removeEventListener("online", noteChange);
      network?.removeEventListener("change", noteChange);
    });
    return () => {
      if (silent < 0) silent = 0;
    };
  }

  /** Take ICE servers from what arrives, and watch the PeerConnections of what is sent. @param {WebSocket} socket */
  function follow(socket) {
    let understands = false; // whether the server knows our reports
    /** The PeerConnection of each handle. @type {Map<number, RTCPeerConnection>} */
    const connections = new Map();

    socket.addEventListener("message", ({ data }) => {
      if (typeof data !== "string" || !data.includes('"portico"')) return;
      try {
        const ours = JSON.parse(data).portico;
        if (!ours || !Array.isArray(ours.ice_servers)) return;
        understands = true;
        iceServers = ours.ice_servers;
      } catch {
        // The SDK reads the same text, and reports what is wrong with it.
      }
    });

    /** @param {number} handle */
    function reportLost(handle) {
      if (!understands || socket.readyState !== WebSocket.OPEN) return;
      send.call(socket, JSON.stringify({ janus: "path_lost", transaction: `path-lost-${handle}`, handle_id: handle }));
    }

    const hasLostMedia = () => {
      const states = [...connections.values()].map((connection) => connection.connectionState);
      return states.some((state) => BROKEN.includes(state)) && !states.includes("connected");
    };
    const noteSent = endWhenSilent(socket, hasLostMedia);
    const send = socket.send;
    socket.send = function (data) {
      send.call(socket, data);
      noteSent();
      if (typeof data !== "string" || !data.includes('"jsep"')) return;
      const { handle, connection } = negotiated(data);
      if (!connection) return;
      connections.set(handle, connection);
      watch(connection, () => connections.get(handle) === connection && reportLost(handle));
    };
  }

  // Proxies instead of subclasses, so that constants, `instanceof` and further subclasses keep working.
  window.WebSocket = new Proxy(window.WebSocket, {
    construct(target, args, newTarget) {
      const [url, ...rest] = args;
      const address = args.length ? redirected(url) : url;
      const socket = Reflect.construct(target, args.length ? [address, ...rest] : args, newTarget);
      if (address !== url) follow(socket);
      return socket;
    },
  });

  if (window.RTCPeerConnection) {
    window.RTCPeerConnection = new Proxy(window.RTCPeerConnection, {
      construct(target, args, newTarget) {
        const [settings, ...rest] = args;
        if (!isOfSdk(settings)) return Reflect.construct(target, args, newTarget);
        const ours = iceServers.length ? { ...settings, iceServers } : settings;
        const connection = Reflect.construct(target, [ours, ...rest], newTarget);
        unsent.add(connection);
        return connection;
      },
    });
  }

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
    /** The STUN and TURN servers that this server has named last, for PeerConnections with settings of a page's own. */
    get iceServers() {
      return iceServers;
    },
  };

  if (origin && /^https?:/.test(origin)) window.Portico.connect(origin);
})();
