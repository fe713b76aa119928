/** Keeps fresh what no stream tells. */
import { useEffect, useRef } from "preact/hooks";

const AGAIN_AFTER_MS = 15_000;

/**
 * Calls `refresh` every 15 s while the page is visible, and at once when it becomes visible.
 *
 * For requests for access alone: the directory has no stream of them, and an approver who looks at the page must
 * not miss that somebody waits, or that another approver was faster. A page that nobody sees asks nothing.
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
