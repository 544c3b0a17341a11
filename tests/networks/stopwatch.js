// Runs before the scripts of a page: notes its peer connections, when its signaling socket was made, and its first frame.
(() => {
  const POLL_MILLIS = 20;
  const connections = [];
  const marks = { began: undefined, connected: undefined, first_frame: undefined };

  const since = () => Math.round(performance.now() - marks.began);

  /** The candidate pair that a connection uses; undefined before it has one. */
  async function pathOf(connection) {
    const reports = await connection.getStats();
    const all = [...reports.values()];
    const transport = all.find(({ type, selectedCandidatePairId }) => type === "transport" && selectedCandidatePairId);
    // Firefox has no report of transports, and marks the pair.
    const pair = transport
      ? reports.get(transport.selectedCandidatePairId)
      : all.find(({ type, selected, state }) => type === "candidate-pair" && selected && state === "succeeded");
    if (!pair) return undefined;
    const [local, remote] = [reports.get(pair.localCandidateId), reports.get(pair.remoteCandidateId)];
    const address = remote.address ?? remote.ip ?? "";
    return {
      local: local.candidateType,
      protocol: local.protocol,
      relay: local.relayProtocol ?? "",
      remote: remote.candidateType,
      address,
      family: address.includes(":") ? 6 : 4,
      gathered: all.filter(({ type }) => type === "local-candidate").map(({ relayProtocol }) => relayProtocol ?? ""),
    };
  }

  async function poll() {
    let frames = 0;
    let sent = 0;
    for (const connection of connections) {
      if (connection.connectionState !== "connected") continue;
      marks.connected ??= since();
      for (const { type, kind, framesDecoded, framesSent } of (await connection.getStats()).values()) {
        if (type === "inbound-rtp" && kind === "video") frames += framesDecoded ?? 0;
        if (type === "outbound-rtp" && kind === "video") sent += framesSent ?? 0;
      }
    }
    if (frames > 0) marks.first_frame ??= since();
    Object.assign(stopwatch, { frames, sent });
    setTimeout(poll, POLL_MILLIS);
  }

  const stopwatch = {
    marks,
    connections,
    /** Decoded frames of all connections that are connected now. */
    frames: 0,
    /** Frames that those have sent. */
    sent: 0,
    /** The paths of all connections that are connected. */
    async paths() {
      const open = connections.filter(({ connectionState }) => connectionState === "connected");
      return (await Promise.all(open.map(pathOf))).filter((path) => path !== undefined);
    },
    states: () => connections.map(({ iceConnectionState, connectionState }) => `${iceConnectionState}/${connectionState}`),
  };
  window.stopwatch = stopwatch;
  window.RTCPeerConnection = new Proxy(window.RTCPeerConnection, {
    construct(target, args, newTarget) {
      const connection = Reflect.construct(target, args, newTarget);
      connections.push(connection);
      return connection;
    },
  });
  window.WebSocket = new Proxy(window.WebSocket, {
    construct(target, args, newTarget) {
      if (args[1] === "janus-protocol") {
        marks.began = performance.now();
        marks.connected = marks.first_frame = undefined;
      }
      return Reflect.construct(target, args, newTarget);
    },
  });
  void poll();
})();
