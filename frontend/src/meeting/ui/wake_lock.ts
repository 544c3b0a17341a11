/** Keeps the screen of a telephone lit. */
import { useEffect } from "preact/hooks";

/** While `isWanted`, where the browser can: only on secure pages, and not with a nearly empty battery. */
export function useWakeLock(isWanted: boolean): void {
  useEffect(() => {
    if (!isWanted || !navigator.wakeLock) return;
    let lock: WakeLockSentinel | undefined;
    let isOver = false;
    const request = async (): Promise<void> => {
      // The browser takes the lock away from a page that is not seen.
      if (document.visibilityState !== "visible" || (lock && !lock.released)) return;
      try {
        const granted = await navigator.wakeLock.request("screen");
        if (isOver) await granted.release();
        else lock = granted;
      } catch (error) {
        console.info("The screen may go dark.", error);
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
