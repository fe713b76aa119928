/** Calls of the API under `/-/`: one place that sends, reads and explains them. */
import { err, ok, type Result } from "../../../common/result.ts";
import type { Answer, ApiFailure, Endpoint, Parts } from "./endpoints.ts";
import { fillIn } from "./fill-in.ts";
import { type CallOptions, SignIns } from "./sign-in.ts";

export const signIns = new SignIns({
  storage: sessionStorage,
  address: () => location.pathname + location.search,
  leave: (address) => location.assign(address),
  now: () => Date.now(),
});

/**
 * Calls a route.
 *
 * @param endpoint as in docs/API.md, e.g. `GET /-/admin/sessions/{id}`
 * @param signal ends the call, which then fails with `network`
 * @returns its answer, or why there is none. Where Access wants a sign-in first, the browser leaves this
 *   page, and the promise stays pending; where it may not leave, the failure is `sign_in`
 */
export async function call<E extends Endpoint>(
  endpoint: E,
  parts: Parts<E> = {},
  signal?: AbortSignal,
  options: CallOptions = {},
): Promise<Result<Answer<E>, ApiFailure>> {
  const [method = "GET"] = endpoint.split(" ", 1);
  const path = pathOf(endpoint, parts);
  const body = parts.body === undefined ? {} : { body: JSON.stringify(parts.body) };
  const sent = await send(path, { method, ...body, ...(signal && { signal }) }, options);
  if (!sent.ok) return sent;
  try {
    return ok((await sent.value.json()) as Answer<E>);
  } catch {
    return err(UNREADABLE);
  }
}

/** The address of a call. */
export function pathOf<E extends Endpoint>(endpoint: E, { params = {}, query = {} }: Parts<E>): string {
  const template = endpoint.slice(endpoint.indexOf(" ") + 1);
  return fillIn(template, params, query);
}

/**
 * Sends a request to this host, for answers of any type.
 *
 * @param path with its query
 * @returns an answer of Sallyport's own with status 2xx, whose body is not read yet; or as `call`
 */
export async function send(
  path: string,
  init: RequestInit = {},
  options: CallOptions = {},
): Promise<Result<Response, ApiFailure>> {
  let response: Response;
  try {
    // A redirect is Access's, to another origin: followed, it would only fail.
    response = await fetch(path, { ...init, redirect: "manual", credentials: "same-origin", cache: "no-store" });
  } catch {
    return err(init.signal?.aborted ? ABORTED : UNREACHABLE);
  }
  if (response.type === "opaqueredirect") return signIns.require(path, options);
  const isHtml = /^text\/html\b/i.test(response.headers.get("Content-Type") ?? "");
  if (response.ok && !isHtml) {
    signIns.succeeded(path);
    return ok(response);
  }
  const refusal = await readRefusal(response);
  if (refusal) return err(refusal);
  // Nothing of ours has answered. What is in front of it says "sign in" by a page, or by a 401.
  if (response.ok || response.status === 401 || response.status === 403) return signIns.require(path, options);
  return err({ ...UNREADABLE, message: `The answer has status ${response.status} and no message: try again.` });
}

async function readRefusal(response: Response): Promise<ApiFailure | undefined> {
  try {
    const { error } = (await response.json()) as { error?: Partial<ApiFailure> };
    const { code, message } = error ?? {};
    return typeof code === "string" && typeof message === "string" ? { code, message } : undefined;
  } catch {
    return undefined;
  }
}

const ABORTED: ApiFailure = { code: "network", message: "The call was ended." };
const UNREACHABLE: ApiFailure = {
  code: "network",
  message: "This host does not answer: check the network, then try again.",
};
const UNREADABLE: ApiFailure = {
  code: "unreadable",
  message: "The answer cannot be read: reload the page; if this persists, report it.",
};
