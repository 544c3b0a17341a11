/** Builds the pages into the Python package; `vite dev` proxies all other paths to a running server. */
import { defineConfig, type Plugin } from "vite";

const server = "http://127.0.0.1:8080";

/** Under `vite dev`, `/` is front.html, `/meet/{room_id}` meet.html, `/console` console.html and `/check` check.html. */
function pagePaths(): Plugin {
  return {
    name: "page-paths",
    configureServer(dev) {
      dev.middlewares.use((request, _response, next) => {
        if (request.method === "GET" && /^\/meet\/[^/]+$/.test(request.url ?? "")) request.url = "/meet.html";
        if (request.method === "GET" && request.url === "/console") request.url = "/console.html";
        if (request.method === "GET" && request.url === "/") request.url = "/front.html";
        if (request.method === "GET" && request.url === "/check") request.url = "/check.html";
        next();
      });
    },
  };
}

export default defineConfig(({ command }) => ({
  base: command === "build" ? "/assets/" : "/",
  plugins: [pagePaths()],
  experimental: {
    // Relative, so that the pages also work below a path: /meet/{room_id} is one step deeper than /console.
    renderBuiltUrl(filename, { hostId, hostType }) {
      if (hostType !== "html") return { relative: true };
      return `${hostId === "meet.html" ? "../" : ""}assets/${filename}`;
    },
  },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../portico/web/assets",
    emptyOutDir: true,
    assetsDir: "",
    target: "es2022",
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: ["meet.html", "console.html", "check.html", "front.html"],
      // The chunk that several pages use. portico/web/pages.py serves names of this form only.
      output: { chunkFileNames: "shared-[hash].js" },
    },
  },
  server: {
    proxy: {
      "^/meet/[^/]+/(room|token)$": server,
      "^/check/socket$": { target: server, ws: true },
      "^/v2/": server,
      "^/files/": server,
      "^/[^/]+/janus$": { target: server, ws: true },
    },
  },
}));
