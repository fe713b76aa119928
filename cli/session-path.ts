import { parseSessionList } from "./answers.ts";
import { callJson } from "./api.ts";
import { PluginFailure } from "./failure.ts";
import { findSession, isWholeId, liveSessionsPath } from "./sessions.ts";
import type { Target } from "./target.ts";

/**
 * The path of a live session in the API. An abbreviated id is looked up.
 *
 * @param isAdmin among everybody's sessions, instead of one's own
 */
export async function sessionPath(id: string, target: Target, isAdmin: boolean): Promise<string> {
  const folder = isAdmin ? "/-/admin/sessions" : "/-/sessions";
  if (isWholeId(id)) return `${folder}/${id}`;
  const { items } = await callJson(target, { method: "GET", path: liveSessionsPath(isAdmin) }, parseSessionList);
  const found = findSession(id, items);
  if (!found.ok) throw new PluginFailure("api", found.error);
  return `${folder}/${found.value}`;
}
