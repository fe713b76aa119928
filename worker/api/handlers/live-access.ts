import { err, ok } from "../../../common/result.ts";
import type { LiveRecord } from "../../../contract/live-stream.ts";
import { checkCrossSite } from "../../access/cross-site.ts";
import { denial } from "../../denials.ts";
import type { CheckAccess } from "../../sessions/access-watch.ts";
import { openLiveStream } from "../../sessions/live-stream.ts";
import { accessListJson } from "../access-json.ts";
import { sightOf } from "../approver.ts";
import type { ApiContext } from "../request.ts";
import type { AccessRecordJson } from "../schemas/live.ts";
import { streamRecords } from "../stream-records.ts";
import type { Handler } from "./handler.ts";

/**
 * Works without D1: the directory alone is asked. It ends with the caller's sign-in or lock, and whenever they
 * may see other requests than at its begin.
 */
export const streamAccess: Handler<"streamAccess"> = async (_, api) => {
  const { env, identity, request, url } = api;
  // Unlike other reads it takes one of the caller's few places, for as long as another site's page likes.
  const sameSite = checkCrossSite(request.headers, url);
  if (!sameSite.ok) return sameSite;
  const opened = await openLiveStream(env.DIRECTORY, { by: identity.name, of: "access" }, request.signal);
  return opened.ok ? ok(streamRecords(opened.value, request, shownTo(api), checkSight(api))) : opened;
};

/** Shows what the caller may see: the directory tells of everybody's. */
function shownTo(api: ApiContext): (record: LiveRecord) => AccessRecordJson | undefined {
  const { maySee } = sightOf(api);
  const seen = new Set<string>();
  let isFirst = true;
  return (record) => {
    switch (record.type) {
      case "access": {
        const visible = record.requests.filter(maySee);
        // The first says that these are all, also where there is none.
        if (visible.length === 0 && !isFirst) return undefined;
        isFirst = false;
        for (const { id } of visible) seen.add(id);
        return { type: "requests", requests: accessListJson(visible, api) };
      }
      case "access_over": {
        const ids = record.ids.filter((id) => seen.delete(id));
        return ids.length === 0 ? undefined : { type: "over", ids };
      }
      case "alive":
        return record;
      default:
        return undefined;
    }
  };
}

/** Whether the caller may still see what they could, and no more: a stream that goes on knows what it began with. */
function checkSight(api: ApiContext): CheckAccess {
  const { key } = sightOf(api);
  return async (maxAgeMs) => {
    const now = await api.identifyAgain(maxAgeMs);
    if (!now.ok) return now;
    return sightOf({ ...api, ...now.value }).key === key ? ok(null) : err(OTHER_SIGHT);
  };
}

const OTHER_SIGHT = denial("not_approver", "you may see other requests for access than before: begin again");
