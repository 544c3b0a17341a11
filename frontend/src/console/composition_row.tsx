/** The row of one composition: its progress, its failure, or its file. */
import { isUnderway } from "./archive";
import { Reel } from "./icons";
import { Playable } from "./playable";
import type { Composition } from "./rest";
import { factsOf } from "./texts";

export function CompositionRow({ composition, isLive }: { composition: Composition; isLive: boolean }) {
  const status = composition.status ?? "failed";
  return (
    <li class={`saved composition ${status}`} data-testid="composition" data-status={status}>
      <Reel />
      <p class="what">
        <strong>Composition</strong>
        <span class="soft" role="status">
          {statusText(composition, isLive)}
        </span>
      </p>
      {composition.download_url && <Playable kind="video" url={composition.download_url} name="Composition" />}
      {isUnderway(composition) && <ProgressBar composition={composition} />}
      {status === "failed" && (
        <p class="failure" data-testid="failure">
          {composition.failure ?? "The composition failed."}
        </p>
      )}
    </li>
  );
}

/** The status as text. Screen readers announce each change, so percentages are only in the progress bar's value. */
function statusText(composition: Composition, isLive: boolean): string {
  const size = composition.resolution.replace("x", "\u00a0×\u00a0");
  switch (composition.status) {
    case "enqueued":
      return isLive ? "Starts when the session is over" : "Waiting";
    case "processing":
      return `In progress · ${size}`;
    case "completed":
      return [factsOf(composition), size].filter(Boolean).join(" · ");
    case null:
      return `Failed · ${size}`;
  }
}

function ProgressBar({ composition }: { composition: Composition }) {
  const percent = Math.floor(composition.progress * 100);
  const isWaiting = composition.status === "enqueued";
  return (
    <div class="progress-line">
      <div
        class={`progress${isWaiting ? " waiting" : ""}`}
        role="progressbar"
        data-testid="progress"
        aria-label="Composition"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={isWaiting ? undefined : percent}
      >
        <span style={{ "--done": composition.progress }} />
      </div>
      <span class="percent" aria-hidden="true">
        {isWaiting ? "" : `${percent} %`}
      </span>
    </div>
  );
}
