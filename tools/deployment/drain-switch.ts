/** A deployment's drain switch and live sessions, through its admin API. */
import * as z from "zod";
import type { Http, HttpRequest } from "../ports/http.ts";
import { type AdminApi, askAdminApi } from "./admin-api.ts";

const drainSchema = z.object({
  draining: z.boolean(),
  by: z.string().nullable(),
  reason: z.string().nullable(),
  until: z.string().nullable(),
});
/**
 * Whether new sessions are refused, by whom, why, and until when. The last three are null if they are not.
 */
export type DrainState = z.output<typeof drainSchema>;

const endedSchema = z.object({ wasDraining: z.boolean() });

const pageSchema = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      user: z.string(),
      cluster: z.string(),
      kind: z.string(),
      namespace: z.string(),
      pod: z.string(),
      startedAt: z.string(),
    }),
  ),
  next: z.string().nullable(),
});

/** A live session, as far as operators are told of it. */
export interface LiveSession {
  readonly id: string;
  readonly user: string;
  readonly cluster: string;
  readonly kind: string;
  readonly namespace: string;
  readonly pod: string;
  /** ms since the epoch */
  readonly started_at: number;
}

/**
 * Each method
 *
 * @throws OperatorError that says why it was not done, and what to do; UnclearAnswer where it may be done.
 */
export interface DrainSwitch {
  read(): Promise<DrainState>;
  /** @param until ms since the epoch */
  begin(reason: string, until: number): Promise<DrainState>;
  /** @returns whether new sessions were refused */
  end(reason: string): Promise<boolean>;
  /** All live sessions. */
  live(): Promise<LiveSession[]>;
}

export function drainSwitch(http: Http, api: AdminApi): DrainSwitch {
  const ask = <S extends z.ZodType>(schema: S, method: HttpRequest["method"], path: string, body?: object) =>
    askAdminApi(http, api, schema, { method, path, body });
  return {
    read: () => ask(drainSchema, "GET", "drain"),
    begin: (reason, until) => ask(drainSchema, "PUT", "drain", { reason, until: new Date(until).toISOString() }),
    end: async (reason) => (await ask(endedSchema, "DELETE", "drain", { reason })).wasDraining,
    live: async () => {
      const sessions: LiveSession[] = [];
      let cursor = "";
      do {
        const page = await ask(pageSchema, "GET", `sessions?state=live&limit=500${cursor}`);
        for (const { startedAt, ...session } of page.items) {
          sessions.push({ ...session, started_at: Date.parse(startedAt) });
        }
        cursor = page.next === null ? "" : `&cursor=${encodeURIComponent(page.next)}`;
      } while (cursor !== "");
      return sessions;
    },
  };
}
