/** The screen of a call: participants, notices, controls and chat. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Call } from "../call/call";
import type { Devices } from "../call/devices";
import { useChanges } from "../../shared/observable";
import { ChatPanel } from "./chat";
import { DeviceToggles, Toggle } from "./controls";
import { Bubble, Check, Cross, HangUp, Link, Mark, Participants, Screen } from "../../shared/icons";
import { MixedAudio } from "./mixed_audio";
import { useShortcuts } from "./shortcuts";
import { Stage } from "./stage";

/** The members of a call that the view uses; stories.tsx implements them without a server. */
export type CallOnView = Pick<
  Call,
  | "participants"
  | "mixedAudio"
  | "screen"
  | "chat"
  | "notice"
  | "announcement"
  | "isInterrupted"
  | "notify"
  | "toggleScreen"
  | "send"
  | "leave"
  | "onChange"
> &
  Parameters<typeof useChanges>[0];

interface Props {
  call: CallOnView;
  devices: Devices;
  title: string;
  isRecorded: boolean;
  /** The address to invite others with; undefined when the page's address holds a token. */
  inviteLink: string | undefined;
}

const canShareScreen = "getDisplayMedia" in (navigator.mediaDevices ?? {});

export function CallView({ call, devices, title, isRecorded, inviteLink }: Props) {
  useChanges(call);
  useChanges(call.chat);
  useChanges(devices);
  const { participants, chat } = call;
  const others = participants.filter((participant) => !participant.isSelf);
  useShortcuts({
    m: () => void devices.toggleMicrophone(),
    v: () => void devices.toggleCamera(),
    c: () => chat.setOpen(!chat.isOpen),
  });
  return (
    <div class={`call${chat.isOpen ? " chatting" : ""}`}>
      <Top title={title} count={participants.length} isRecorded={isRecorded} inviteLink={inviteLink} />
      <div class="interruption" role="status">
        {call.isInterrupted && (
          <p data-testid="interrupted">
            <span class="spinner" aria-hidden="true" />
            Sound and picture are interrupted. Waiting for your network…
          </p>
        )}
      </div>
      <Notice text={call.notice ?? devices.problem} onClose={() => closeNotice(call, devices)} />
      <Stage participants={participants} ownVideo={devices.video} ownScreen={call.screen?.getVideoTracks()[0]} />
      {others.length === 0 && <p class="alone">You are the only participant so far.</p>}
      <footer class="bar" role="toolbar" aria-label="Call controls">
        <DeviceToggles devices={devices} />
        {canShareScreen && (
          <Toggle
            testId="screen"
            label={call.screen ? "Stop sharing your screen" : "Share your screen"}
            isOn={call.screen !== undefined}
            tone="on-stresses"
            onClick={() => void call.toggleScreen()}
          >
            <Screen />
          </Toggle>
        )}
        <Toggle
          testId="chat-toggle"
          label={chat.unread ? `Open chat, ${chat.unread} unread` : chat.isOpen ? "Close chat" : "Open chat"}
          isOn={chat.isOpen}
          tone="on-stresses"
          shortcut="c"
          onClick={() => chat.setOpen(!chat.isOpen)}
        >
          <Bubble />
          {chat.unread > 0 && (
            <span class="badge" data-testid="unread">
              {chat.unread > 99 ? "99+" : chat.unread}
            </span>
          )}
        </Toggle>
        <button type="button" class="round leave" data-testid="leave" aria-label="Leave the call" title="Leave the call" onClick={() => call.leave()}>
          <HangUp />
        </button>
      </footer>
      {chat.isOpen && <ChatPanel chat={chat} others={others} send={(text, to) => call.send(text, to)} />}
      <MixedAudio track={call.mixedAudio} />
      <p class="for-screen-readers" aria-live="polite">
        {call.announcement}
      </p>
    </div>
  );
}

function closeNotice(call: CallOnView, devices: Devices): void {
  devices.problem = undefined;
  call.notify(undefined);
}

interface TopProps extends Pick<Props, "title" | "isRecorded" | "inviteLink"> {
  count: number;
}

function Top({ title, count, isRecorded, inviteLink }: TopProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  // The focused element was part of the lobby, which is gone.
  useEffect(() => heading.current?.focus(), []);
  return (
    <header class="top">
      <Mark />
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      <span class="status" data-testid="status" data-state="in-call" role="status" aria-label={`In the call, ${count} ${count === 1 ? "participant" : "participants"}`}>
        <Participants />
        {count}
      </span>
      <span class="recording-space" role="status">
        {isRecorded && (
          <span class="recording" data-testid="recorded" title="This meeting is recorded">
            <span class="dot" aria-hidden="true" />
            <span class="for-screen-readers">This meeting is recorded</span>
            <span aria-hidden="true">Recording</span>
          </span>
        )}
      </span>
      {inviteLink && <CopyLink link={inviteLink} />}
    </header>
  );
}

function CopyLink({ link }: { link: string }) {
  const [outcome, setOutcome] = useState<"" | "copied" | "failed">("");
  useEffect(() => {
    if (!outcome) return;
    const timer = setTimeout(() => setOutcome(""), 2500);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(link);
      setOutcome("copied");
    } catch {
      // The clipboard exists on https pages and localhost only.
      setOutcome("failed");
    }
  };
  const text = { "": "Copy invite link", copied: "Link copied", failed: "Copy it from the address bar" }[outcome];
  return (
    <button type="button" class={`quiet${outcome ? " changed" : ""}`} data-testid="copy-link" title="Copy invite link" onClick={() => void copy()}>
      {outcome === "copied" ? <Check /> : <Link />}
      <span aria-live="polite">{text}</span>
    </button>
  );
}

function Notice({ text, onClose }: { text: string | undefined; onClose: () => void }) {
  return (
    <div class="notices" role="alert">
      {text && (
        <div class="notice">
          <p data-testid="notice">{text}</p>
          <button type="button" class="plain" aria-label="Dismiss" onClick={onClose}>
            <Cross />
          </button>
        </div>
      )}
    </div>
  );
}
