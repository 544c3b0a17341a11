/** Starts the meeting page. */
import { render } from "preact";
import { App } from "./app";
import { install } from "./call/browser";
import { entryOf, roomIdOf } from "./call/link";
import "../shared/style.css";
import "./meeting.css";

install();
const page = document.getElementById("page");
if (page) render(<App roomId={roomIdOf(location.pathname)} entry={entryOf(location.hash)} />, page);
// Pasting another invitation into the address bar changes only the fragment; browsers do not load the page for that.
window.addEventListener("hashchange", () => location.reload());
// A page restored from the back/forward cache would show a call that has ended.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
