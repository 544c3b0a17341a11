/** The meeting page: shows the current screen of a visit. */
import { useEffect, useMemo } from "preact/hooks";
import { ending } from "./call/ending";
import { Visit } from "./visit";
import { Devices } from "./call/devices";
import type { Entry, Invited } from "./call/link";
import { serverUrl } from "../shared/base";
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
  const visit = useMemo(() => new Visit(roomId, entry, new Devices()), []);
  useChanges(visit);
  useEffect(() => visit.open(), []);
  const { screen, devices, name, room } = visit;
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
          checkLink={serverUrl(`check#${roomId}/${location.hash.slice(1)}`)}
          onName={(text) => visit.setName(text)}
          onJoin={() => void visit.join()}
        />
      );
    case "call": {
      // A link that holds a token is for one participant, so it is not offered to invite others.
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
          onTryNow={() => visit.tryNow()}
          onGiveUp={() => visit.giveUp()}
        />
      );
    case "ended":
      return <Ended ending={screen.ending} onRejoin={() => visit.backToLobby()} />;
  }
}
