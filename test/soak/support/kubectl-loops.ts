/** Runs real kubectl over and over, while workerd is killed and restarted. */
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Kubectl, type Running } from "../../../dev/programs/kubectl.ts";
import type { Random } from "../../../tools/random.ts";
import type { AuditLog } from "./audit-log.ts";
import type { SoakStack } from "./soak-stack.ts";

interface Run {
  readonly tag: string;
  readonly wantedCode: number;
  code: number | null | undefined;
  stdout: string;
}

const PAUSE_MS = 200;
const FORWARD_MS = { least: 3_000, most: 8_000 };

export class KubectlLoops {
  readonly #stack: SoakStack;
  readonly #stopped = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly runs: Run[] = [];
  forwards = 0;
  forwardedEchoes = 0;

  constructor(stack: SoakStack) {
    this.#stack = stack;
  }

  start(random: Random): void {
    this.#loops.push(this.#execLoop(random.fork(), "alice"), this.#execLoop(random.fork(), "bob"));
    this.#loops.push(this.#forwardLoop(random.fork(), "admin"));
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#loops);
  }

  /** @returns runs whose outcome in the audit log differs from what kubectl printed */
  faults({ sessions }: AuditLog): string[] {
    const byCommand = new Map<string, { outcome: string; exit_code: number | null }[]>();
    for (const { start, ends } of sessions.values()) {
      const tag = start?.command.join(" ").match(/echo (kc-\d+)/)?.[1];
      if (tag && ends[0]) byCommand.set(tag, [...(byCommand.get(tag) ?? []), ends[0]]);
    }
    return this.runs.flatMap(({ tag, wantedCode, code, stdout }) => {
      // No output: workerd may have been down.
      if (!stdout.includes(tag)) return [];
      const recorded = byCommand.get(tag) ?? [];
      const fits = (row: (typeof recorded)[0]) =>
        row.outcome === "interrupted" ||
        (row.outcome === "exited" && row.exit_code === wantedCode) ||
        // This process ended it, at the end of the loops.
        (row.outcome === "disconnected" && code === null);
      if (recorded.length === 1 && recorded.every(fits)) return [];
      return [`kubectl exec ${tag} ended with ${code}; the audit log has ${JSON.stringify(recorded)}`];
    });
  }

  async #execLoop(random: Random, context: string): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const tag = `kc-${this.runs.length}`;
      const wantedCode = random.between(2, 9);
      const run: Run = { tag, wantedCode, code: undefined, stdout: "" };
      this.runs.push(run);
      const seconds = (random.between(0, 15) / 10).toFixed(1);
      const script = `echo ${tag}; sleep ${seconds}; exit ${wantedCode}`;
      const running = this.#kubectl(context).start(["exec", "shell", "--", "sh", "-c", script], "");
      const { code, stdout } = await this.#untilStopped(running);
      run.code = code;
      run.stdout = stdout;
      await delay(PAUSE_MS);
    }
  }

  async #forwardLoop(random: Random, context: string): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const running = this.#kubectl(context).start(["port-forward", "pod/echo", ":7"], "");
      const end = setTimeout(() => running.child.kill("SIGINT"), random.between(FORWARD_MS.least, FORWARD_MS.most));
      const chatting = this.#chat(running);
      await this.#untilStopped(running);
      clearTimeout(end);
      await chatting;
      await delay(PAUSE_MS);
    }
  }

  /** Sends data for as long as the port-forward lives. */
  async #chat(running: Running): Promise<void> {
    let over = false;
    void running.finished.then(() => {
      over = true;
    });
    let port: string | undefined;
    while (!port && !over) {
      port = /127\.0\.0\.1:(\d+) ->/.exec(running.stdout())?.[1];
      await delay(20);
    }
    if (!port) return;
    this.forwards++;
    const socket = connect(Number(port), "127.0.0.1").on("error", () => {});
    socket.on("data", () => {
      this.forwardedEchoes++;
    });
    while (!over) {
      if (socket.writable) socket.write("over the tunnel and back\n");
      await delay(100);
    }
    socket.destroy();
  }

  async #untilStopped(running: Running) {
    const kill = () => running.child.kill("SIGKILL");
    if (this.#stopped.signal.aborted) kill();
    this.#stopped.signal.addEventListener("abort", kill, { once: true });
    const finished = await running.finished;
    this.#stopped.signal.removeEventListener("abort", kill);
    return finished;
  }

  #kubectl(context: string): Kubectl {
    return new Kubectl(this.#stack.facts.kubeconfig, context, this.#stack.home);
  }
}
