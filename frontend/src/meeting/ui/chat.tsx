/** The chat panel: messages to all participants or to one. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { LONGEST_TEXT, type Chat, type ChatLine } from "../call/chat";
import type { Participant } from "../call/participants";
import { useChanges } from "../../shared/observable";
import { hueOf } from "./avatar";
import { Cross, Send } from "../../shared/icons";
import { LinkedText } from "./linked_text";

interface Props {
  chat: Chat;
  others: Participant[];
  send: (text: string, recipient: string | undefined) => Promise<boolean>;
}

export function ChatPanel({ chat, others, send }: Props) {
  useChanges(chat);
  return (
    <aside
      class="chat"
      id="chat"
      aria-label="Chat"
      onKeyDown={(event) => {
        if (event.key === "Escape") chat.setOpen(false);
      }}
    >
      <header>
        <h2>Chat</h2>
        <button type="button" class="plain" aria-label="Close chat" onClick={() => chat.setOpen(false)}>
          <Cross />
        </button>
      </header>
      <Lines lines={chat.lines} />
      <Composer others={others} send={send} />
    </aside>
  );
}

function Lines({ lines }: { lines: readonly ChatLine[] }) {
  const log = useRef<HTMLOListElement>(null);
  const newest = lines[lines.length - 1]?.id;
  useLayoutEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [newest]);
  return (
    <ol class="lines" ref={log} data-testid="chat-log" role="log" aria-label="Messages" tabIndex={0}>
      {lines.length === 0 && <li class="nothing">No messages yet. Messages are deleted when you close this page.</li>}
      {lines.map((line) => (
        <Line key={line.id} line={line} />
      ))}
    </ol>
  );
}

function Line({ line }: { line: ChatLine }) {
  const time = line.at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return (
    <li class={`line${line.isOwn ? " own" : ""}`} data-testid="chat-line" style={{ "--hue": hueOf(line.from) }}>
      <p class="about">
        <strong>{line.isOwn ? "You" : line.from}</strong>
        {line.privateTo && <em>{line.isOwn ? `only to ${line.privateTo}` : "only to you"}</em>}
        <time dateTime={line.at.toISOString()}>{time}</time>
      </p>
      <p class="text">
        <LinkedText text={line.text} />
      </p>
    </li>
  );
}

function Composer({ others, send }: Omit<Props, "chat">) {
  const [text, setText] = useState("");
  const [recipient, setRecipient] = useState("");
  const [isSending, setSending] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const reachable = others.filter((participant) => participant.canReceiveMessages);
  const chosen = reachable.find((participant) => participant.id === recipient);
  const submit = async (): Promise<void> => {
    const words = text.trim();
    if (!words || isSending) return;
    setSending(true);
    if (await send(words, chosen?.id)) setText("");
    setSending(false);
    field.current?.focus();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <label class="to">
        <span>To</span>
        <select
          data-testid="chat-to"
          value={chosen ? recipient : ""}
          onChange={(event) => setRecipient(event.currentTarget.value)}
        >
          <option value="">Everyone</option>
          {reachable.map((participant) => (
            <option key={participant.id} value={participant.id}>
              Only {participant.name}
            </option>
          ))}
        </select>
      </label>
      <div class="write">
        <textarea
          ref={field}
          data-testid="chat-input"
          aria-label="Message"
          rows={1}
          maxLength={LONGEST_TEXT}
          placeholder={chosen ? `Message to ${chosen.name}` : "Message to everyone"}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            // Enter sends and Shift+Enter starts a line. While composing, Enter confirms the input method's suggestion.
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            void submit();
          }}
        />
        <button class="send" type="submit" data-testid="chat-send" aria-label="Send" disabled={!text.trim() || isSending}>
          <Send />
        </button>
      </div>
    </form>
  );
}
