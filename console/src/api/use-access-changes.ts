/** Tells a component that requests for access have changed, while its page is visible. */
import { useEffect, useRef } from "preact/hooks";
import type { AccessRecordJson } from "../../../worker/api/schemas/live.ts";
import { type AccessChanged, AccessChanges } from "./access-changes.ts";
import { followLines } from "./stream.ts";

const changes = new AccessChanges({
  follow: (handler, signal) => {
    // Nobody asked for it: what somebody types must not be lost to a sign-in.
    void followLines<AccessRecordJson>("/-/access/live", handler, signal, { mayLeave: false });
  },
  isVisible: () => document.visibilityState === "visible",
  onVisibility: (listener) => {
    document.addEventListener("visibilitychange", listener);
    return () => document.removeEventListener("visibilitychange", listener);
  },
});

/**
 * Calls `onChange` whenever a request for access that the reader may see is new, has changed or is over, and
 * when the page becomes visible: an approver must not miss that somebody waits, or that another was faster.
 */
export function useAccessChanges(onChange: (changed: AccessChanged) => void): void {
  const newest = useRef(onChange);
  newest.current = onChange;
  useEffect(() => changes.subscribe((changed) => newest.current(changed)), []);
}
