/**
 * The benchmark's floor of API requests: a Worker that knows tokens it has seen, passes headers on by an
 * allow-list, and has one row of a change on the disk of an object before it answers. Whatever does these
 * things costs that much, so the difference to it is Sallyport's own. It checks and hashes nothing, delivers
 * the row to nobody, and must never be deployed.
 */
import { DurableObject } from "cloudflare:workers";
import { buildUpstreamHeaders } from "../../kubernetes/upstream-headers.ts";
import { AS_USER, UPSTREAM_ORIGIN } from "../untouched/persona.ts";

interface Env {
  readonly KUBE_API: Fetcher;
  readonly ROWS: DurableObjectNamespace<OneRow>;
}

/** As long as the event of a usual change. */
const ROW = "x".repeat(800);
const AS = { user: AS_USER.user, groups: [AS_USER.group], extra: {} };

/** One for all changes, as a user's object has all of theirs. */
export class OneRow extends DurableObject<Env> {
  readonly #sql: SqlStorage;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#sql = state.storage.sql;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS changes (id INTEGER PRIMARY KEY, data TEXT NOT NULL)");
  }

  /** Its answer leaves once the row is on the disk. */
  write(data: string): void {
    this.#sql.exec("INSERT INTO changes (data) VALUES (?)", data);
  }
}

const known = new Map<string, number>();

export default {
  async fetch(request, { KUBE_API, ROWS }) {
    const token = request.headers.get("Cf-Access-Jwt-Assertion") ?? "";
    if (!known.has(token)) known.set(token, Date.now());
    const { pathname, search } = new URL(request.url);
    const isUpgrade = request.headers.get("Upgrade") === "websocket";
    const headers = buildUpstreamHeaders(request.headers, AS, isUpgrade ? { upgrade: "websocket" } : {});
    if (!headers.ok) throw new Error(headers.error.message);
    const { method, body } = request;
    const init = { method, headers: headers.value, body, redirect: "manual" } as const;
    const answering = KUBE_API.fetch(UPSTREAM_ORIGIN + pathname + search, init);
    if (method === "GET") return answering;
    const [answer] = await Promise.all([answering, ROWS.getByName(AS_USER.user).write(ROW)]);
    return answer;
  },
} satisfies ExportedHandler<Env>;
