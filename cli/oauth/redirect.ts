/** The redirect at the end of a sign-in: what a request to the loopback listener means. Pure. */
import { escapeHtml } from "../../common/html.ts";

export const CALLBACK_PATH = "/callback";

export type Redirect =
  | { readonly kind: "answer"; readonly parameters: URLSearchParams }
  /** Not for this sign-in: a favicon, an earlier tab, a web page that guesses. It is ignored. */
  | { readonly kind: "other"; readonly status: 400 | 404 | 405; readonly message: string };

/**
 * Reads a request to the loopback listener.
 *
 * @param host the Host header: a web page whose own name resolves to this machine must not answer (DNS
 *   rebinding)
 * @param state what this sign-in was started with; only its answer ends the waiting
 */
export function readRedirect(
  { method, target, host }: { readonly method: string; readonly target: string; readonly host: string | undefined },
  { redirectUri, state }: { readonly redirectUri: string; readonly state: string },
): Redirect {
  const expected = new URL(redirectUri);
  // Both without port 80, which a client may leave out (RFC 9110, section 7.2).
  const named = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).href : undefined;
  if (named !== `${expected.origin}/`) return { kind: "other", status: 400, message: "Unknown host." };
  const url = URL.canParse(target, redirectUri) ? new URL(target, redirectUri) : undefined;
  if (url?.pathname !== expected.pathname) return { kind: "other", status: 404, message: "Nothing here." };
  if (method !== "GET") return { kind: "other", status: 405, message: "Use GET." };
  if (url.searchParams.get("state") !== state) {
    return { kind: "other", status: 400, message: "This is not the answer to the sign-in that is waiting." };
  }
  return { kind: "answer", parameters: url.searchParams };
}

/**
 * Reads what somebody pasted: the address to which a browser on another machine was redirected.
 *
 * @returns undefined for anything else
 */
export function readPasted(
  line: string,
  expected: { readonly redirectUri: string; readonly state: string },
): URLSearchParams | undefined {
  const text = line.trim();
  if (!URL.canParse(text)) return undefined;
  const { pathname, search, host } = new URL(text);
  const redirect = readRedirect({ method: "GET", target: pathname + search, host }, expected);
  return redirect.kind === "answer" ? redirect.parameters : undefined;
}

/** The page that the browser shows. It loads nothing, and the address with the code leaves the history. */
export function resultPage(title: string, message: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head>
<body><h1>${escapeHtml(title)}</h1><p>${escapeHtml(message)}</p></body>
</html>
`;
}
