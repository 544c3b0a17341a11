/** The table of media nodes: their load, and buttons that drain, resume and remove them. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { useChanges } from "../shared/observable";
import { Nodes } from "./nodes";
import type { MediaNode, NodeAction, Rest } from "./rest";

export function MediaNodes({ rest }: { rest: Rest }) {
  const nodes = useMemo(() => new Nodes(rest), [rest]);
  useChanges(nodes);
  useEffect(() => {
    nodes.start();
    return () => nodes.stop();
  }, [nodes]);
  if (nodes.nodes.length === 0) return null;
  return (
    <section class="session nodes" data-testid="nodes" aria-label="Media nodes">
      <header>
        <h2>Media nodes</h2>
      </header>
      {nodes.problem && (
        <p class="failure" role="alert">
          {nodes.problem}
        </p>
      )}
      <ul>
        {nodes.nodes.map((node) => (
          <NodeRow key={node.id} node={node} onAction={(action) => nodes.act(node, action)} />
        ))}
      </ul>
    </section>
  );
}

function NodeRow({ node, onAction }: { node: MediaNode; onAction: (action: NodeAction) => Promise<void> }) {
  const [isAsking, setAsking] = useState(false);
  const act = (action: NodeAction) => (): void => {
    setAsking(false);
    void onAction(action);
  };
  const state = !node.is_up && node.state !== "removed" ? "lost" : node.state;
  return (
    <li class={`node ${state}`} data-testid="node" data-id={node.id} data-state={state}>
      <p class="what">
        <strong>{node.id.slice(0, 12)}</strong>
        <span class="state">{STATES[state]}</span>
        <span class="soft">{factsOf(node)}</span>
        {node.shortage && <span class="failure">{node.shortage}</span>}
      </p>
      <p class="actions">
        {isAsking ? (
          <>
            <span class="soft">{node.participants > 0 ? "Calls on it end." : "Give this node up?"}</span>
            <button type="button" class="quiet" onClick={() => setAsking(false)}>
              Keep
            </button>
            <button type="button" class="quiet" data-testid="remove" onClick={act("remove")}>
              Remove
            </button>
          </>
        ) : (
          <>
            {node.state === "active" && (
              <button type="button" class="quiet" data-testid="drain" onClick={act("drain")}>
                Drain
              </button>
            )}
            {node.state === "draining" && (
              <button type="button" class="quiet" data-testid="resume" onClick={act("resume")}>
                Resume
              </button>
            )}
            {node.state !== "removed" && (
              <button type="button" class="quiet" data-testid="ask-remove" onClick={() => setAsking(true)}>
                Remove…
              </button>
            )}
          </>
        )}
      </p>
    </li>
  );
}

const STATES = { active: "Active", draining: "Draining", removed: "Removed", lost: "Lost" };

/** "12 participants · load 0.4 · 5,200 packets/s · Janus 1.4.1"; nothing of a node that is not up. */
function factsOf(node: MediaNode): string {
  if (!node.is_up) return "";
  const count = `${node.participants} ${node.participants === 1 ? "participant" : "participants"}`;
  const facts = [count, `load ${node.cpu.toFixed(1)}`, `${node.packets.toLocaleString()} packets/s`];
  if (node.version) facts.push(`Janus ${node.version}`);
  return facts.join(" · ");
}
