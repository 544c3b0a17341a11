/** The screen after a call, or after a join that failed: why, and a button to join again. */
import { useEffect, useRef } from "preact/hooks";
import type { Ending } from "../call/ending";
import { Mark } from "../../shared/icons";

interface Props {
  ending: Ending;
  /** Undefined when another try cannot succeed. */
  onRejoin: (() => void) | undefined;
}

export function Ended({ ending, onRejoin }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const isCalm = ending.kind === "left" || ending.kind === "ended";
  return (
    <main class="ended">
      <div class={`card${isCalm ? "" : " problem"}`}>
        <Mark />
        <h1 ref={heading} tabIndex={-1} data-testid="status" data-state={ending.kind}>
          {ending.title}
        </h1>
        <p class="lead" data-testid="notice" role={isCalm ? undefined : "alert"}>
          {ending.detail}
        </p>
        {onRejoin && (
          <button type="button" class="primary" data-testid="rejoin" onClick={onRejoin}>
            {isCalm ? "Join again" : "Try again"}
          </button>
        )}
      </div>
    </main>
  );
}
