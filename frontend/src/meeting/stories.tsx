/** Development only: the call and its end without a server, such as /stories.html?participants=9&chat&screen. */
import { render } from "preact";
import { Chat } from "./call/chat";
import { ending, type Ending } from "./call/ending";
import type { Participant } from "./call/participants";
import { Devices } from "./call/devices";
import { Observable } from "../shared/observable";
import { hueOf } from "./ui/avatar";
import { CallView, type CallOnView } from "./ui/call_view";
import { Ended } from "./ui/ended";
import "../shared/style.css";
import "./meeting.css";

const NAMES = ["Ada Lovelace", "Grace Hopper", "Jean Bartik", "Karen Spärck Jones", "Radia Perlman", "Mary", "Barbara Liskov", "Hedy Lamarr", "Annie Easley"];
const options = new URLSearchParams(location.search);

/** A video track that shows a drawn face, in place of a camera. */
function paintedTrack(name: string, width = 640, height = 360): MediaStreamTrack {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const brush = canvas.getContext("2d");
  if (!brush) throw new Error("no canvas");
  const paint = (): void => {
    brush.fillStyle = `hsl(${hueOf(name) + 200} 30% 42%)`;
    brush.fillRect(0, 0, width, height);
    brush.fillStyle = `hsl(${hueOf(name)} 38% 58%)`;
    brush.beginPath();
    brush.ellipse(width / 2, height * 1.08, width * 0.24, height * 0.42, 0, 0, 7);
    brush.fill();
    brush.fillStyle = "#e9c6a8";
    brush.beginPath();
    brush.ellipse(width / 2, height * 0.47, height * 0.2, height * 0.25, 0, 0, 7);
    brush.fill();
  };
  setInterval(paint, 200);
  paint();
  const [track] = canvas.captureStream(5).getVideoTracks();
  if (!track) throw new Error("no track");
  return track;
}

class StoryDevices extends Devices {
  override audio = undefined;
  override video = options.has("off") ? undefined : paintedTrack("Ada Lovelace");
}

class StoryCall extends Observable implements Pick<CallOnView, "participants"> {
  chat = new Chat();
  mixedAudio = undefined;
  screen = undefined;
  announcement = "";
  isInterrupted = options.has("interrupted");
  notice = options.get("notice") ?? undefined;
  participants: Participant[] = Array.from({ length: Number(options.get("participants") ?? 3) }, (_, index) => {
    const name = NAMES[index] ?? `Guest ${index}`;
    const hasCamera = index % 4 !== 3 && index < 12;
    return {
      id: String(index),
      name,
      isSelf: index === 0,
      isMicrophoneOn: index % 3 !== 2,
      isCensored: index === 5,
      isSpeaking: index === 1,
      canReceiveMessages: true,
      video: hasCamera ? paintedTrack(name) : undefined,
      screen: options.has("screen") && index === 1 ? paintedTrack("screen", 1280, 720) : undefined,
    };
  });

  constructor() {
    super();
    this.chat.setOpen(options.has("chat"));
    const add = (from: string, text: string, isOwn = false, privateTo?: string): void =>
      this.chat.add({ from, text, isOwn, privateTo });
    add("Grace Hopper", "Good morning! Shall we begin with the compiler?");
    add("You", "Yes, two minutes.", true);
    add("Radia Perlman", "The tree is at https://example.com/a/rather/long/address/that/has/to/break/somewhere");
    add("Grace Hopper", "Psst: your light is on.", false, "you");
    add("You", "Thanks!", true, "Grace Hopper");
  }

  notify(sentence: string | undefined): void {
    this.notice = sentence;
    this.changed();
  }
  async toggleScreen(): Promise<void> {}
  leave(): void {}
  async send(text: string): Promise<boolean> {
    this.chat.add({ from: "You", text, isOwn: true, privateTo: undefined });
    return true;
  }
}

const page = document.getElementById("page");
const end = options.get("end") as Ending["kind"] | null;
const link = "https://example.com/#invite";
if (page && end) render(<Ended ending={ending(end)} onRejoin={() => undefined} />, page);
else if (page) render(<CallView call={new StoryCall()} devices={new StoryDevices()} title="Weekly planning" isRecorded={options.has("recorded")} inviteLink={link} />, page);
