/** Keeps the screen of a telephone on during a call. */
import { useEffect } from "preact/hooks";

/** Hold a wake lock while `isWanted`. Browsers grant one on secure pages only, and none with a nearly empty battery. */
export function useWakeLock(isWanted: boolean): void {
  useEffect(() => {
    if (!isWanted || !navigator.wakeLock) return;
    let lock: WakeLockSentinel | undefined;
    let isOver = false;
    const request = async (): Promise<void> => {
      // Browsers release the lock of a hidden page, so it is requested again when the page is visible.
      if (document.visibilityState !== "visible" || (lock && !lock.released)) return;
      try {
        const granted = await navigator.wakeLock.request("screen");
        if (isOver) await granted.release();
        else lock = granted;
      } catch (error) {
        console.info("No wake lock: the screen may turn off.", error);
      }
    };
    const ask = (): void => void request();
    document.addEventListener("visibilitychange", ask);
    ask();
    return () => {
      isOver = true;
      document.removeEventListener("visibilitychange", ask);
      void lock?.release();
    };
  }, [isWanted]);
}
