/**
 * Whether new sessions are refused: a drain that was forgotten, or whose end was lost, looks like an outage.
 */
import * as z from "zod";
import { parseJson } from "../../../common/json.ts";
import { MAX_DRAIN_MS } from "../../../contract/drain.ts";
import { type Check, passed, type Query, warning } from "../check.ts";
import { databaseCheck } from "./audit-database.ts";

/**
 * No index leads to drains, and an audit log has millions of rows. Most deployments write fewer than this a
 * day.
 */
const WINDOW_ROWS = 100_000;
/** Rows are written in the order of their delivery, so those of an outage come later than their time. */
const SLACK_MS = 60 * 60_000;

const IS_TURN = "type IN ('drain', 'drain_end')";

const drainSchema = z.object({ by: z.string(), reason: z.string(), until: z.int() });

/**
 * New sessions open, as far as the audit log says. It has each turn of the drain switch, within seconds.
 *
 * @param windowRows how many rows one query reads
 */
export function drainCheck(query: Query | undefined, now: () => number, windowRows = WINDOW_ROWS): Check {
  return databaseCheck("drain", query, async (ask) => {
    const turn = await findLastTurn(ask, now() - MAX_DRAIN_MS - SLACK_MS, windowRows);
    const drain = turn?.type === "drain" ? drainSchema.safeParse(parseJson(turn.data)).data : undefined;
    if (drain === undefined || drain.until <= now()) return passed("new sessions open");
    return warning(
      `new sessions are refused until ${new Date(drain.until).toISOString()} (${drain.by}: ${drain.reason})`,
      "if nobody works on it any more: npx sallyport drain --end",
    );
  });
}

interface Turn {
  readonly type: "drain" | "drain_end";
  readonly data: string;
}

/**
 * The last turn of the drain switch, window by window from the newest row on.
 *
 * @param since ms since the epoch: older ones are over
 */
async function findLastTurn(ask: Query, since: number, windowRows: number): Promise<Turn | undefined> {
  const [last] = await ask<{ high: number | null }>("SELECT max(row_number) AS high FROM events");
  for (let high = last?.high ?? 0; high > 0; high -= windowRows) {
    const window = `row_number > ${high - windowRows} AND row_number <= ${high}`;
    const [found] = await ask<{ newest: number | null; turn: number | null }>(
      `SELECT max(at) AS newest, max(CASE WHEN ${IS_TURN} THEN row_number END) AS turn FROM events WHERE ${window}`,
    );
    if (typeof found?.turn === "number") {
      const [turn] = await ask<Turn>(`SELECT type, data FROM events WHERE row_number = ${found.turn}`);
      return turn;
    }
    // None left, or all too old.
    if (typeof found?.newest !== "number" || found.newest < since) return undefined;
  }
  return undefined;
}
