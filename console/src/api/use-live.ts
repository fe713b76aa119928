/** Follows what is live, for pages that show it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type LiveRecord, type LiveState, NOTHING_LIVE, withRecord } from "../live.ts";
import type { ApiFailure } from "./endpoints.ts";
import { followLines } from "./stream.ts";

const STREAM = "/-/admin/live";

/**
 * Follows the stream while the page is open. What a connection said is shown until the next says all.
 *
 * @param onRecord is told of each record, after it was taken in
 */
export function useLive(onRecord?: (record: LiveRecord) => void): {
  readonly state: LiveState;
  readonly failure: ApiFailure | undefined;
} {
  const [state, setState] = useState(NOTHING_LIVE);
  const [failure, setFailure] = useState<ApiFailure>();
  const known = useRef(NOTHING_LIVE);
  useEffect(() => {
    const controller = new AbortController();
    const show = (next: LiveState) => {
      known.current = next;
      setState(next);
    };
    void followLines<LiveRecord>(
      STREAM,
      {
        onOpen: () => {
          known.current = NOTHING_LIVE;
          setFailure(undefined);
        },
        onRecord: (record) => {
          show(withRecord(known.current, record));
          onRecord?.(record);
        },
        onDown: setFailure,
      },
      controller.signal,
    );
    return () => controller.abort();
  }, []);
  return { state, failure };
}
