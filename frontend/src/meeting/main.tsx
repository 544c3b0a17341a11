/** Starts the meeting page. */
import { render } from "preact";
import { App } from "./app";
import { install } from "./call/browser";
import { entryOf, roomIdOf } from "./call/link";
import "../shared/style.css";

install();
const page = document.getElementById("page");
if (page) render(<App roomId={roomIdOf(location.pathname)} entry={entryOf(location.hash)} />, page);
// Another invitation pasted into the same tab changes only the fragment, which does not load the page again.
window.addEventListener("hashchange", () => location.reload());
// A page brought back from the browser's cache shows a call that is long over.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
