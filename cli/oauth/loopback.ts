/** The loopback listener that waits for the redirect at the end of a sign-in. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { errorCode } from "../../common/errors.ts";
import { PluginFailure } from "../failure.ts";
import { CALLBACK_PATH, readRedirect, resultPage } from "./redirect.ts";

export interface LoopbackListener {
  readonly redirectUri: string;
  /** Resolves with the answer to the sign-in that was started with a state. */
  readonly waitForAnswer: (state: string) => Promise<URLSearchParams>;
  readonly close: () => void;
}

const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  connection: "close",
};

/**
 * Listens on 127.0.0.1, which a name server cannot point elsewhere (RFC 8252, section 8.3).
 *
 * @param port 0 for any that is free
 */
export async function listenForRedirect(port: number): Promise<LoopbackListener> {
  let redirectUri = "";
  let waiting: { readonly state: string; readonly resolve: (answer: URLSearchParams) => void } | undefined;
  const server = createServer((request, response) => {
    const { method = "", url: target = "", headers } = request;
    const redirect = readRedirect({ method, target, host: headers.host }, { redirectUri, state: waiting?.state ?? "" });
    if (redirect.kind === "other" || waiting === undefined) {
      const { status, message } = redirect.kind === "other" ? redirect : { status: 404, message: "Nothing here." };
      response.writeHead(status, PAGE_HEADERS).end(resultPage("Sallyport", message));
      return;
    }
    const { resolve } = waiting;
    const isRefused = redirect.parameters.has("error");
    response
      .writeHead(200, PAGE_HEADERS)
      .end(
        isRefused
          ? resultPage("Not signed in", "Access refused the sign-in. The terminal says more.")
          : resultPage("Signed in", "You can close this window and return to the terminal."),
        () => resolve(redirect.parameters),
      );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  }).catch((error: unknown) => {
    throw new PluginFailure(
      "sign_in_failed",
      `cannot listen on 127.0.0.1:${port} for the end of the sign-in (${errorCode(error)}): use another --port`,
    );
  });
  redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}${CALLBACK_PATH}`;
  return {
    redirectUri,
    waitForAnswer: (state) =>
      new Promise((resolve) => {
        waiting = { state, resolve };
      }),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
