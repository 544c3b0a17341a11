/** The buttons for microphone and camera, and the toggle button they are made of. */
import type { ComponentChildren } from "preact";
import type { Devices } from "../call/devices";
import { Camera, Microphone } from "../../shared/icons";

interface ToggleProps {
  testId: string;
  label: string;
  isOn: boolean;
  /** Which state has a colour: off as a warning (microphone, camera), or on as an emphasis (screen, chat). */
  tone: "off-warns" | "on-stresses";
  shortcut?: string;
  disabled?: boolean;
  onClick: () => void;
  children: ComponentChildren;
}

export function Toggle({ testId, label, isOn, tone, shortcut, disabled, onClick, children }: ToggleProps) {
  const title = shortcut ? `${label} (${shortcut.toUpperCase()})` : label;
  return (
    <button
      type="button"
      class={`round ${tone} ${isOn ? "on" : "off"}`}
      data-testid={testId}
      data-on={String(isOn)}
      aria-label={label}
      aria-keyshortcuts={shortcut}
      title={title}
      disabled={disabled}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

export function DeviceToggles({ devices }: { devices: Devices }) {
  const { isMicrophoneOn, isCameraOn, opening } = devices;
  return (
    <>
      <Toggle
        testId="mic"
        label={isMicrophoneOn ? "Turn microphone off" : "Turn microphone on"}
        isOn={isMicrophoneOn}
        tone="off-warns"
        shortcut="m"
        disabled={opening}
        onClick={() => void devices.toggleMicrophone()}
      >
        <Microphone off={!isMicrophoneOn} />
      </Toggle>
      <Toggle
        testId="camera"
        label={isCameraOn ? "Turn camera off" : "Turn camera on"}
        isOn={isCameraOn}
        tone="off-warns"
        shortcut="v"
        disabled={opening}
        onClick={() => void devices.toggleCamera()}
      >
        <Camera off={!isCameraOn} />
      </Toggle>
    </>
  );
}
