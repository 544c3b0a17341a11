/** The page's course: lobby, call, end, and back. */
import { useEffect, useState } from "preact/hooks";
import { Call, NotJoined } from "./call/call";
import { ending, endingOfGrant, type Ending } from "./call/ending";
import { Devices } from "./devices";
import { keepFresh, obtain, type Grant } from "./grant";
import type { Entry } from "./link";
import { CallView } from "./ui/call_view";
import { Ended } from "./ui/ended";
import { Lobby } from "./ui/lobby";

type Invited = Exclude<Entry, { kind: "none" }>;
type Screen =
  | { name: "lobby"; isJoining: boolean }
  | { name: "call"; call: Call }
  /** `retry` counts the page's own tries to come back after a lost connection; undefined = it does not try. */
  | { name: "ended"; ending: Ending; retry: number | undefined; isJoining: boolean };

const NAME_KEY = "portico.name";
const RETRY_SECS = [2, 4, 8, 15];
const devices = new Devices();

export function App({ roomId, entry }: { roomId: string; entry: Entry }) {
  if (entry.kind === "none") return <Ended ending={ending("gone")} onRejoin={undefined} />;
  return <Meeting roomId={roomId} entry={entry} />;
}

function Meeting({ roomId, entry }: { roomId: string; entry: Invited }) {
  const [screen, setScreen] = useState<Screen>({ name: "lobby", isJoining: false });
  const [grant, setGrant] = useState<Grant>();
  const [name, setName] = useState(() => localStorage.getItem(NAME_KEY) ?? "");
  const title = grant?.room.uniqueName ?? "Meeting";

  const end = (how: Ending, retry?: number): void => {
    if (retry === undefined) devices.close();
    setScreen({ name: "ended", ending: how, retry, isJoining: false });
  };
  const join = async (): Promise<void> => {
    localStorage.setItem(NAME_KEY, name.trim());
    setScreen((now) => (now.name === "call" ? now : { ...now, isJoining: true }));
    try {
      const valid = await validGrant(roomId, entry, grant);
      setGrant(valid);
      const call = await Call.join({ roomId, token: valid.token, name: name.trim() || "Guest", devices });
      setScreen({ name: "call", call });
    } catch (error) {
      const how = error instanceof NotJoined ? error.ending : endingOfGrant(error);
      const isPassing = ["lost", "busy", "unreachable"].includes(how.kind);
      const tried = screen.name === "ended" ? screen.retry : undefined;
      end(how, isPassing && tried !== undefined && tried + 1 < RETRY_SECS.length ? tried + 1 : undefined);
    }
  };
  const backToLobby = (): void => {
    setScreen({ name: "lobby", isJoining: false });
    if (!devices.audio && !devices.video) void devices.open();
  };

  useEffect(() => {
    document.title = `${title} · Portico`;
  }, [title]);
  useEffect(() => {
    void devices.open();
    // Asked for early: a wrong link shows at once, and the room's name is known in the lobby.
    obtain(roomId, entry).then(setGrant, (error: unknown) => end(endingOfGrant(error)));
  }, []);
  useCallLifetime(screen, roomId, entry, grant, (how) => end(how, how.kind === "lost" ? 0 : undefined));
  const retryIn = useRetry(screen, () => void join());

  switch (screen.name) {
    case "lobby":
      return (
        <Lobby
          devices={devices}
          title={title}
          name={name}
          isJoining={screen.isJoining}
          onName={setName}
          onJoin={() => void join()}
        />
      );
    case "call": {
      // A link with somebody's own token in it is theirs alone.
      const inviteLink = entry.kind === "invite" ? location.href : undefined;
      return <CallView call={screen.call} devices={devices} title={title} inviteLink={inviteLink} />;
    }
    case "ended":
      return <Ended ending={screen.ending} onRejoin={screen.isJoining ? undefined : backToLobby} retryIn={retryIn} />;
  }
}

/** A grant from the lobby may have grown old while somebody was looking for their glasses. */
async function validGrant(roomId: string, entry: Invited, grant: Grant | undefined): Promise<Grant> {
  const isFresh = grant && (grant.renewAt === undefined || performance.now() < grant.renewAt);
  return isFresh ? grant : obtain(roomId, entry);
}

/** Joins again by itself after a lost connection; returns the seconds until then for the page to show. */
function useRetry(screen: Screen, join: () => void): number | undefined {
  const retry = screen.name === "ended" ? screen.retry : undefined;
  const secs = retry === undefined ? undefined : RETRY_SECS[retry];
  useEffect(() => {
    if (secs === undefined) return;
    const timer = setTimeout(join, secs * 1000);
    return () => clearTimeout(timer);
  }, [secs]);
  return screen.name === "ended" && screen.isJoining ? 0 : secs;
}

/** While a call runs: its token stays fresh, its end is noticed, and closing the tab says goodbye. */
function useCallLifetime(
  screen: Screen,
  roomId: string,
  entry: Invited,
  grant: Grant | undefined,
  onEnd: (how: Ending) => void,
): void {
  const call = screen.name === "call" ? screen.call : undefined;
  useEffect(() => {
    if (!call || !grant) return;
    const stopRenewing = keepFresh(roomId, entry, grant, (fresh) => call.useToken(fresh.token));
    const checkEnd = (): void => {
      if (call.ending) onEnd(call.ending);
    };
    const forget = call.onChange(checkEnd);
    const leave = (): void => call.leave();
    window.addEventListener("pagehide", leave);
    checkEnd();
    return () => {
      stopRenewing();
      forget();
      window.removeEventListener("pagehide", leave);
    };
  }, [call]);
}
