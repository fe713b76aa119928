import { findNeighbours, NEIGHBOUR_ROWS } from "../../../audit/chain-queries.ts";
import { findEvents } from "../../../audit/session-queries.ts";
import { err, ok } from "../../../common/result.ts";
import { denial } from "../../denials.ts";
import { queryDatabase } from "../database.ts";
import { chainedEventJson } from "../session-json.ts";
import type { Handler } from "./handler.ts";

export const getSessionChain: Handler<"getSessionChain"> = async ({ params: { id } }, { env }) => {
  const events = await queryDatabase(findEvents(env.AUDIT_DB, id));
  if (!events.ok) return events;
  const [first] = events.value;
  if (!first) return err(denial("not_found", "D1 has no events of a session with this id"));
  const found = await queryDatabase(findNeighbours(env.AUDIT_DB, first));
  if (!found.ok) return found;
  const { previous, next } = found.value;
  return ok({
    events: events.value.map(chainedEventJson),
    previous: previous && chainedEventJson(previous),
    next: next && chainedEventJson(next),
    isFirst: first.prev_hash === "",
    searchedRows: NEIGHBOUR_ROWS,
  });
};
