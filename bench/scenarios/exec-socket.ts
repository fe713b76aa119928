/** An exec as a plain WebSocket, for scenarios that time single messages or hold many sessions. */
import { WebSocket } from "ws";
import type { Variant } from "../variants.ts";
import type { Setting } from "./scenario.ts";

export const STDIN = 0;
export const STDOUT = 1;
const PROTOCOL = "v5.channel.k8s.io";

/** Resolves when the session is open. */
export async function openExec(
  { name, url, headers }: Pick<Variant, "name" | "url" | "headers">,
  { namespace, pod, signal }: Pick<Setting, "namespace" | "pod" | "signal">,
  command: readonly string[],
): Promise<WebSocket> {
  signal.throwIfAborted();
  const query = new URLSearchParams({ stdin: "true", stdout: "true" });
  for (const word of command) query.append("command", word);
  const address = `${url.replace("http", "ws")}/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query}`;
  const socket = new WebSocket(address, PROTOCOL, { headers, perMessageDeflate: false });
  const abort = () => socket.terminate();
  signal.addEventListener("abort", abort, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", abort));
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", (error) => reject(new Error(`${name}: exec was refused: ${error.message}`)));
  });
  return socket;
}

/** Closes the session and waits for its end. */
export function hangUp(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === WebSocket.CLOSED) return resolve();
    socket.once("close", () => resolve());
    socket.close(1000);
    // A side that is busy streaming may not react.
    setTimeout(() => socket.terminate(), CLOSE_PATIENCE_MS).unref();
  });
}

const CLOSE_PATIENCE_MS = 1_000;
