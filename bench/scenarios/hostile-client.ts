/**
 * A thread whose client sends one message again and again, as fast as its socket takes it. It tells its
 * parent when its session opens for the first time, and whenever a session ends, and comes back then.
 */
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { TunnelClient } from "../../test/e2e/support/tunnel-client.ts";
import { ATTACKS, type AttackName } from "./attacks.ts";
import { openExec } from "./exec-socket.ts";

const { attack, url, namespace, pod } = workerData as {
  readonly attack: AttackName;
  readonly url: string;
  readonly namespace: string;
  readonly pod: string;
};

const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
const MAX_MESSAGES_AT_ONCE = 256;
const PAUSE_MS = 1;

interface Connection {
  readonly isOpen: () => boolean;
  /** Bytes that have not left this process. */
  readonly unsentBytes: () => number;
  readonly send: (message: Buffer) => void;
}

async function openSink(): Promise<Connection> {
  const { signal } = new AbortController();
  const variant = { name: attack, url, headers: {} };
  const socket = await openExec(variant, { namespace, pod, signal }, ["sh", "-c", "cat >/dev/null"]);
  return {
    isOpen: () => socket.readyState === socket.OPEN,
    unsentBytes: () => socket.bufferedAmount,
    send: (message) => socket.send(message, () => {}),
  };
}

async function openTunnel(): Promise<Connection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/portforward`;
  const client = await TunnelClient.open(socket, path, [], () => {});
  return {
    isOpen: () => !client.isClosed,
    unsentBytes: () => socket.writableLength,
    send: (message) => client.send(message),
  };
}

const definition = ATTACKS.find(({ name }) => name === attack);
if (!definition) throw new Error(`there is no attack ${attack}`);
const message = definition.message();
for (let session = 0; ; session++) {
  const connection = await (definition.session === "exec" ? openSink() : openTunnel());
  if (session === 0) parentPort?.postMessage("open");
  while (connection.isOpen()) {
    for (let count = 0; count < MAX_MESSAGES_AT_ONCE && connection.unsentBytes() < MAX_UNSENT_BYTES; count++) {
      connection.send(message);
    }
    await delay(PAUSE_MS);
  }
  parentPort?.postMessage("ended");
}
