/** The kinds of session in a soak run: their requests, and how their clients behave. */

export type SessionKind =
  | "output"
  | "counter"
  | "stream"
  | "bulk"
  | "silent"
  | "echo"
  | "terminal"
  | "port-forward"
  | "attach"
  | "short"
  | "refused";

export interface KindFacts {
  readonly path: string;
  readonly protocol: string;
  /** Interval at which the client sends, ms; 0 for never. */
  readonly everyMs: number;
  /** The channel that echoes its input; undefined if it sends none. */
  readonly echoChannel: number | undefined;
  /** Whether it ends by itself. */
  readonly finite: boolean;
}

const V5 = "v5.channel.k8s.io";
const V4 = "v4.channel.k8s.io";
const OUTPUT = 'i=0; while :; do i=$((i+1)); echo "line $i of what a build might say"; sleep 0.05; done';
/** Prints the time, so that a gap in a recording can be measured to a tenth of a second. */
const COUNTER = "i=0; while :; do i=$((i+1)); echo tick $i $(date +%s%3N); sleep 0.1; done";
/** 32 KB/s with few new processes, so that many of these still measure the relay. */
const STREAM = 'b=$(head -c 16384 /dev/zero | tr "\\0" x); while :; do printf %s "$b"; sleep 0.5; done';
/** 1.3 MB/s: a large file at a limited rate. */
const BULK = "while :; do yes a line of a large file | head -c 131072; sleep 0.1; done";

export function kindFacts(kind: SessionKind, exitCode: number): KindFacts {
  const quiet = { everyMs: 0, echoChannel: undefined, finite: false };
  switch (kind) {
    case "output":
      return { ...quiet, path: exec("shell", ["sh", "-c", OUTPUT], { stdout: true }), protocol: V5 };
    case "counter":
      return { ...quiet, path: exec("shell", ["sh", "-c", COUNTER], { stdout: true }), protocol: V5 };
    case "stream":
      return { ...quiet, path: exec("shell", ["sh", "-c", STREAM], { stdout: true }), protocol: V5 };
    case "bulk":
      return { ...quiet, path: exec("shell", ["sh", "-c", BULK], { stdout: true }), protocol: V5 };
    case "silent":
      return { ...quiet, path: exec("shell", ["sleep", "3600"], { stdout: true, stderr: true }), protocol: V5 };
    case "terminal":
      return {
        ...quiet,
        path: exec("shell", ["sh"], { stdin: true, stdout: true, tty: true }),
        protocol: V5,
      };
    case "echo":
      return {
        path: exec("shell", ["cat"], { stdin: true, stdout: true }),
        protocol: V5,
        everyMs: 200,
        echoChannel: 1,
        finite: false,
      };
    case "port-forward":
      return { path: pod("echo", "portforward", "ports=7"), protocol: V4, everyMs: 250, echoChannel: 0, finite: false };
    case "attach":
      return { ...quiet, path: pod("logger", "attach", "stdout=true"), protocol: V5 };
    case "refused":
      return { ...quiet, path: exec("nobody", ["true"], { stdout: true }), protocol: V5, finite: true };
    case "short":
      return {
        ...quiet,
        path: exec("shell", ["sh", "-c", `echo done; exit ${exitCode}`], { stdout: true }),
        protocol: V5,
        finite: true,
      };
  }
}

/** @returns whether sessions of this kind are recorded */
export function isRecorded(kind: SessionKind): boolean {
  return kind !== "port-forward";
}

/** @returns the times in a counter's output, ms since the epoch */
export function ticksIn(text: string): number[] {
  return [...text.matchAll(/tick \d+ (\d{13})\r?\n/g)].map(([, at]) => Number(at));
}

function exec(name: string, command: readonly string[], streams: Readonly<Record<string, boolean>>): string {
  const query = new URLSearchParams(Object.entries(streams).map(([stream, on]) => [stream, String(on)]));
  for (const word of command) query.append("command", word);
  return pod(name, "exec", query.toString());
}

function pod(name: string, subresource: string, query: string): string {
  return `/api/v1/namespaces/demo/pods/${name}/${subresource}?${query}`;
}
