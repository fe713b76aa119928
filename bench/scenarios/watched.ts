/** What ten people who watch a session cost it. */
import { WebSocket } from "ws";
import { run } from "../processes.ts";
import { type StartedWorker, startWorker } from "../variants.ts";
import { STDIN, STDOUT } from "./exec-socket.ts";
import type { Scenario, Setting } from "./scenario.ts";

const MIB = 1024 * 1024;
const OUT_MIB = 300;
const TEXT_MIB = 10;
const WATCHERS = 10;
/** Pairs in one sample, after one that does not count. */
const PAIRS = 3;
const FILE = "/tmp/bench-watched";

/** Each sample has a workerd of its own, for the administrator's address. Pairs, since the machine drifts. */
export const watched: Scenario = {
  name: "watched",
  metrics: [
    { key: "seconds", title: `${OUT_MIB} MiB of text out of a pod, with ${WATCHERS} watchers`, unit: "s" },
    { key: "ratio", title: "the same, compared with none", unit: "×" },
  ],
  warmUp: false,
  appliesTo: ({ worker }) => worker !== undefined && worker.wranglerConfig === undefined,
  async measure({ name, worker }, setting) {
    if (!worker) throw new Error(`${name} is no Worker`);
    const started = await startWorker(worker, setting.upstream, setting.home, setting.signal);
    try {
      await makeFile(started, setting);
      let [alone, beside] = [0, 0];
      for (let pair = 0; pair <= PAIRS; pair++) {
        const isFirst = pair % 2 === 0;
        const one = await secondsOf(started, setting, isFirst ? 0 : WATCHERS);
        const other = await secondsOf(started, setting, isFirst ? WATCHERS : 0);
        if (pair === 0) continue;
        alone += isFirst ? one : other;
        beside += isFirst ? other : one;
      }
      return { seconds: beside / PAIRS, ratio: beside / alone };
    } finally {
      await started.stack.stop();
    }
  },
};

async function makeFile({ variant }: StartedWorker, { namespace, pod, signal }: Setting): Promise<void> {
  const line = "2026-11-22T06:00:00Z INFO a line of a log, as there are many ".padEnd(99, ".");
  const make = `yes '${line}' | head -n 104858 | head -c ${TEXT_MIB * MIB} > ${FILE}`;
  const { file, args, env } = variant.kubectl.command("exec", "-n", namespace, pod, "--", "sh", "-c", make);
  await run(file, args, { env, signal });
}

/** The session waits until all watch it. */
async function secondsOf(started: StartedWorker, setting: Setting, watchers: number): Promise<number> {
  const { socket, sessionId } = await openWaiting(started, setting);
  const watching = await Promise.all(Array.from({ length: watchers }, () => watch(started, sessionId)));
  const startedAt = performance.now();
  const all = new Promise<void>((resolve, reject) => {
    let bytes = 0;
    socket.on("message", (message: Buffer) => {
      if (message[0] === STDOUT) bytes += message.length - 1;
      if (bytes >= OUT_MIB * MIB) resolve();
    });
    socket.once("close", (code) => reject(new Error(`the session ended (${code}) after ${bytes} bytes`)));
  });
  socket.send(Buffer.concat([Buffer.of(STDIN), Buffer.from("go\n")]));
  await all;
  const seconds = (performance.now() - startedAt) / 1000;
  const gone = watching.filter(({ readyState }) => readyState !== WebSocket.OPEN).length;
  if (gone > 0) throw new Error(`${gone} watchers were dropped`);
  for (const each of [...watching, socket]) each.terminate();
  return seconds;
}

async function openWaiting({ variant }: StartedWorker, { namespace, pod }: Setting) {
  const files = Array<string>(OUT_MIB / TEXT_MIB).fill(FILE);
  const query = new URLSearchParams({ stdin: "true", stdout: "true" });
  for (const word of ["sh", "-c", `read go; cat ${files.join(" ")}`]) query.append("command", word);
  const address = `${variant.url.replace("http", "ws")}/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query}`;
  const headers = { "User-Agent": "kubectl/v1.36.3" };
  const socket = new WebSocket(address, "v5.channel.k8s.io", { headers, perMessageDeflate: false });
  const sessionId = await new Promise<string>((resolve, reject) => {
    socket.once("upgrade", ({ headers }) => resolve(String(headers["sallyport-session"])));
    socket.once("error", reject);
  });
  if (socket.readyState !== WebSocket.OPEN) await new Promise((open) => socket.once("open", open));
  return { socket, sessionId };
}

/** Resolves once it has the header. */
async function watch({ stack }: StartedWorker, sessionId: string): Promise<WebSocket> {
  const address = `${stack.personas.admin.url.replace("http", "ws")}/-/admin/sessions/${sessionId}/watch`;
  const socket = new WebSocket(address, "v2.asciicast", { perMessageDeflate: false });
  await new Promise((resolve, reject) => {
    socket.once("message", resolve);
    socket.once("error", reject);
  });
  return socket;
}
