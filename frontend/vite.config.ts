/** Builds the meeting page into the Python package; `vite dev` proxies everything else to a running server. */
import { defineConfig, type Plugin } from "vite";

const server = "http://127.0.0.1:8080";

/** In development `/meet/{room_id}` is meet.html, as the server answers it. */
function meetingPath(): Plugin {
  return {
    name: "meeting-path",
    configureServer(dev) {
      dev.middlewares.use((request, _response, next) => {
        if (request.method === "GET" && /^\/meet\/[^/]+$/.test(request.url ?? "")) request.url = "/meet.html";
        next();
      });
    },
  };
}

export default defineConfig(({ command }) => ({
  base: command === "build" ? "/assets/" : "/",
  plugins: [meetingPath()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../portico/web/assets",
    emptyOutDir: true,
    assetsDir: "",
    target: "es2022",
    modulePreload: { polyfill: false },
    rollupOptions: { input: "meet.html" },
  },
  server: {
    proxy: {
      "^/meet/[^/]+/token$": server,
      "^/v2/": server,
      "^/[^/]+/janus$": { target: server, ws: true },
    },
  },
}));
