// Points the SDK's fixed host at the WebSocket server named in this script's own address: a bare Janus, say.
(() => {
  const target = new URL(document.currentScript.src).searchParams.get("to");
  globalThis.WebSocket = new Proxy(WebSocket, {
    construct(Socket, [address, protocols]) {
      return new Socket(new URL(new URL(address).pathname, target), protocols);
    },
  });
})();
