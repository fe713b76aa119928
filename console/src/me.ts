/** Who uses the console, and what they may do. Buttons that would be refused are not shown. */
import { signal } from "@preact/signals";
import { call } from "./api/client.ts";
import type { ApiFailure, Whoami } from "./api/endpoints.ts";

/** Undefined until the edge has answered. */
export const me = signal<Whoami | undefined>(undefined);
export const meFailure = signal<ApiFailure | undefined>(undefined);

/** Asks the edge who the person is. */
export async function loadMe(): Promise<void> {
  meFailure.value = undefined;
  const answer = await call("GET /-/whoami");
  if (answer.ok) me.value = answer.value;
  else meFailure.value = answer.error;
}

/** Whether the person may see what everybody does. */
export function isAuditor(): boolean {
  return me.value?.roles.some((role) => role === "auditor" || role === "admin") === true;
}

/** Whether the person may see what somebody did: everybody their own. */
export function maySee(user: string): boolean {
  return isAuditor() || user === me.value?.identity;
}

/** Whether the person may end sessions, lock people and the like. */
export function isAdmin(): boolean {
  return me.value?.roles.includes("admin") === true;
}

/** Whether the person may end somebody's sessions: everybody their own. */
export function mayEnd(user: string): boolean {
  return isAdmin() || user === me.value?.identity;
}
