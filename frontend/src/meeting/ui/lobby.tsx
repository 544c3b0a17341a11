/** The screen before a call: camera preview, name, and the button to join. */
import { useEffect, useRef } from "preact/hooks";
import type { Devices } from "../call/devices";
import { useChanges } from "../../shared/observable";
import { DeviceToggles } from "./controls";
import { hueOf, initialsOf } from "./avatar";
import { Level } from "../../shared/level";
import { useShortcuts } from "./shortcuts";
import { Video } from "./video";

interface Props {
  devices: Devices;
  title: string;
  name: string;
  isJoining: boolean;
  isRecorded: boolean;
  /** A sentence to read before joining; undefined when there is none. */
  notice: string | undefined;
  /** The connection check, with the credentials of this meeting. */
  checkLink: string;
  onName: (name: string) => void;
  onJoin: () => void;
}

export function Lobby({ devices, title, name, isJoining, isRecorded, notice, checkLink, onName, onJoin }: Props) {
  useChanges(devices);
  const field = useRef<HTMLInputElement>(null);
  useShortcuts({ m: () => void devices.toggleMicrophone(), v: () => void devices.toggleCamera() });
  useEffect(() => {
    // With a stored name, Enter joins at once.
    field.current?.focus({ preventScroll: true });
  }, []);
  return (
    <main class="lobby">
      <Preview devices={devices} name={name} />
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isJoining) onJoin();
        }}
      >
        <h1>{title}</h1>
        <p class="lead">Check how you look and sound, then join.</p>
        <label class="field">
          <span>Your name</span>
          <input
            ref={field}
            data-testid="name"
            name="name"
            autocomplete="name"
            maxLength={60}
            placeholder="Guest"
            value={name}
            onInput={(event) => onName(event.currentTarget.value)}
          />
        </label>
        {isRecorded && (
          <p class="recorded" id="recorded" data-testid="recorded">
            <span class="dot" aria-hidden="true" />
            This meeting is recorded. Its operator can keep and show your picture and your voice.
          </p>
        )}
        <button class="primary" data-testid="join" aria-describedby={isRecorded ? "recorded" : undefined} type="submit" aria-disabled={isJoining}>
          {isJoining ? <span class="spinner" aria-hidden="true" /> : null}
          {isJoining ? "Joining…" : "Join"}
        </button>
        <a class="text-button" data-testid="check-link" href={checkLink} target="_blank" rel="noopener">
          Check your connection
        </a>
        <p class="for-screen-readers" role="status" data-testid="status" data-state={isJoining ? "joining" : "lobby"}>
          {isJoining ? "Joining" : ""}
        </p>
        <div class="message-space" role="alert">
          {(notice ?? devices.problem) && (
            <p class="message" data-testid="notice">
              {notice ?? devices.problem}
            </p>
          )}
        </div>
      </form>
    </main>
  );
}

function Preview({ devices, name }: { devices: Devices; name: string }) {
  const { video, audio, opening } = devices;
  return (
    <section class="preview" aria-label="Your picture" style={{ "--hue": hueOf(name || "Guest") }}>
      {video ? (
        <Video key={video.id} track={video} isMirrored label="Your camera" />
      ) : (
        <div class="no-picture">
          <span class="initials" aria-hidden="true">
            {initialsOf(name || "Guest")}
          </span>
          <p>{opening ? "Waiting for your permission…" : "Your camera is off"}</p>
        </div>
      )}
      {audio && <Level track={audio} />}
      <div class="bar">
        <DeviceToggles devices={devices} />
      </div>
    </section>
  );
}
