/** Shows the course of a visit: lobby, call, waiting, end. */
import { useEffect, useMemo } from "preact/hooks";
import { ending } from "./call/ending";
import { Course, type Invited } from "./course";
import { Devices } from "./call/devices";
import type { Entry } from "./call/link";
import { useChanges } from "../shared/observable";
import { CallView } from "./ui/call_view";
import { Ended } from "./ui/ended";
import { Lobby } from "./ui/lobby";
import { Waiting } from "./ui/waiting";
import { useWakeLock } from "./ui/wake_lock";

export function App({ roomId, entry }: { roomId: string; entry: Entry }) {
  if (entry.kind === "none") return <Ended ending={ending("gone")} onRejoin={undefined} />;
  return <Meeting roomId={roomId} entry={entry} />;
}

function Meeting({ roomId, entry }: { roomId: string; entry: Invited }) {
  const course = useMemo(() => new Course(roomId, entry, new Devices()), []);
  useChanges(course);
  useEffect(() => course.open(), []);
  const { screen, devices, name, room } = course;
  const title = room.uniqueName ?? "Meeting";
  useEffect(() => {
    document.title = `${title} · Portico`;
  }, [title]);
  useWakeLock(screen.name === "call" || screen.name === "waiting");

  switch (screen.name) {
    case "lobby":
      return (
        <Lobby
          devices={devices}
          title={title}
          name={name}
          isJoining={screen.isJoining}
          isRecorded={room.isRecorded}
          notice={screen.notice}
          onName={(text) => course.setName(text)}
          onJoin={() => void course.join()}
        />
      );
    case "call": {
      // A link with somebody's own token in it is theirs alone.
      const inviteLink = entry.kind === "invite" ? location.href : undefined;
      return (
        <CallView call={screen.call} devices={devices} title={title} isRecorded={room.isRecorded} inviteLink={inviteLink} />
      );
    }
    case "waiting":
      return (
        <Waiting
          ending={screen.plan.ending}
          dueAt={screen.dueAt}
          onTryNow={() => course.tryNow()}
          onGiveUp={() => course.giveUp()}
        />
      );
    case "ended":
      return <Ended ending={screen.ending} onRejoin={() => course.backToLobby()} />;
  }
}
