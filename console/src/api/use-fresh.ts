/** Keeps fresh what no stream tells. */
import { useEffect, useRef } from "preact/hooks";
import { AGAIN_AFTER_MS } from "./access-changes.ts";

/**
 * Calls `refresh` every 15 s while the page is visible, and at once when it becomes visible.
 *
 * For what somebody did lately alone, beside their request: D1 has no stream of it. A page that nobody sees asks
 * nothing.
 */
export function useFresh(refresh: () => void): void {
  const newest = useRef(refresh);
  newest.current = refresh;
  useEffect(() => {
    const refreshIfVisible = () => {
      if (document.visibilityState === "visible") newest.current();
    };
    const timer = setInterval(refreshIfVisible, AGAIN_AFTER_MS);
    document.addEventListener("visibilitychange", refreshIfVisible);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", refreshIfVisible);
    };
  }, []);
}
