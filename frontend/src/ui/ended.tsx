/** After the call, or instead of it: what happened and what can be done. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Ending } from "../call/ending";
import { Mark } from "./icons";

interface Props {
  ending: Ending;
  /** Undefined where trying again cannot help. */
  onRejoin: (() => void) | undefined;
  /** When the page tries again by itself: seconds from now, 0 = it is trying. */
  retryIn?: number | undefined;
}

export function Ended({ ending, onRejoin, retryIn }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const isCalm = ending.kind === "left" || ending.kind === "ended";
  return (
    <main class="ended">
      <div class={`card${isCalm ? "" : " trouble"}`}>
        <Mark />
        <h1 ref={heading} tabIndex={-1} data-testid="status" data-state={ending.kind}>
          {ending.title}
        </h1>
        <p class="lead" data-testid="notice" role={isCalm ? undefined : "alert"}>
          {ending.detail}
        </p>
        {retryIn !== undefined && <Countdown key={retryIn} secs={retryIn} />}
        {onRejoin && (
          <button type="button" class="primary" data-testid="rejoin" onClick={onRejoin}>
            {isCalm ? "Join again" : "Try again"}
          </button>
        )}
      </div>
    </main>
  );
}

function Countdown({ secs }: { secs: number }) {
  const [left, setLeft] = useState(secs);
  useEffect(() => {
    const timer = setInterval(() => setLeft((now) => Math.max(0, now - 1)), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <p class="countdown" data-testid="countdown">
      {left === 0 ? <span class="spinner" aria-hidden="true" /> : null}
      {left === 0 ? "Joining again…" : `Joining again in ${left} s`}
    </p>
  );
}
