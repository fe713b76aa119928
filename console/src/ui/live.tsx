/** What several pages show of the stream of live sessions. */
import type { ComponentChildren, JSX } from "preact";
import type { useLive } from "../api/use-live.ts";
import { Failure } from "./loading.tsx";

/** Shows what the stream tells once it has told all, and above it what it does not tell. */
export function ShowLive({
  live: { state, failure },
  children,
}: {
  readonly live: ReturnType<typeof useLive>;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <>
      {failure && <Failure failure={failure} />}
      {state.isComplete === undefined && !failure && <p class="loading">Loading…</p>}
      {state.isComplete !== undefined && (
        <>
          {!state.isComplete && (
            <p class="hint">
              The directory has just restarted: sessions are missing until their objects report, within a minute.
            </p>
          )}
          {state.omitted > 0 && <p class="hint">The oldest {state.omitted} are not shown: see Sessions.</p>}
          {children}
        </>
      )}
    </>
  );
}
