/** One film: how far it is, why it failed, or where it is to be had. */
import { isUnderway } from "./archive";
import { Reel } from "./icons";
import { Playable } from "./playable";
import type { Film } from "./rest";
import { factsOf } from "./words";

export function FilmRow({ film, isLive }: { film: Film; isLive: boolean }) {
  const status = film.status ?? "failed";
  return (
    <li class={`saved film ${status}`} data-testid="film" data-status={status}>
      <Reel />
      <p class="what">
        <strong>Film</strong>
        <span class="soft" role="status">
          {sayingOf(film, isLive)}
        </span>
      </p>
      {film.download_url && <Playable kind="video" url={film.download_url} name="Film" />}
      {isUnderway(film) && <Bar film={film} />}
      {status === "failed" && (
        <p class="failure" data-testid="failure">
          {film.failure ?? "It could not be made."}
        </p>
      )}
    </li>
  );
}

/** Its steps are told to screen readers; every percent would be too much, and is in the bar's own value. */
function sayingOf(film: Film, isLive: boolean): string {
  const size = film.resolution.replace("x", "\u00a0×\u00a0");
  switch (film.status) {
    case "enqueued":
      return isLive ? "Made when the session is over" : "Waits for its turn";
    case "processing":
      return `Being made · ${size}`;
    case "completed":
      return [factsOf(film), size].filter(Boolean).join(" · ");
    case null:
      return `Failed · ${size}`;
  }
}

function Bar({ film }: { film: Film }) {
  const percent = Math.floor(film.progress * 100);
  const isWaiting = film.status === "enqueued";
  return (
    <div class="making">
      <div
        class={`bar-of-film${isWaiting ? " waiting" : ""}`}
        role="progressbar"
        data-testid="progress"
        aria-label="Film"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={isWaiting ? undefined : percent}
      >
        <span style={{ "--done": film.progress }} />
      </div>
      <span class="percent" aria-hidden="true">
        {isWaiting ? "" : `${percent} %`}
      </span>
    </div>
  );
}
