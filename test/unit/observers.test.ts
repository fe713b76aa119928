import { globSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ExecObserver } from "../../durable/protocols/exec.ts";
import type { Message } from "../../durable/protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import type { Observation, Observer } from "../../durable/protocols/observer.ts";
import { type ChannelProtocol, channelProtocol, encodeFrame as encodeChannelFrame } from "../../kubernetes/channels.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { exitCodeOf } from "../../kubernetes/status.ts";
import { MessageObserver } from "../support/observe-messages.ts";

const TUNNEL = "SPDY/3.1+portforward.k8s.io";

function binary(channel: number, payload: string | readonly number[] = ""): ArrayBuffer {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : Uint8Array.from(payload);
  return Uint8Array.of(channel, ...bytes).buffer;
}

const text = (messages: readonly (Uint8Array | string)[]) =>
  messages.map((message) =>
    typeof message === "string" ? message : [message[0], new TextDecoder().decode(message.subarray(1))],
  );

describe("exec and attach", () => {
  const observe = (protocol = "v5.channel.k8s.io", terminal = false) => new MessageObserver("exec", protocol, terminal);

  test.each([
    ["stdin", binary(0, "x"), "use"],
    ["a resize", binary(4, '{"Width":80,"Height":24}'), "use"],
    ["an empty frame", binary(0), "idle"],
    ["an empty message", new ArrayBuffer(0), "idle"],
  ])("%s from the client is %s", (_, message, observation) => {
    expect(observe().fromClient(message)).toBe(observation);
  });

  test.each([1, 2, 3, 5, 254])("a message of channel %d, which the cluster drops, is no use", (channel) => {
    expect(observe().fromClient(binary(channel, "x"))).toBe("idle");
  });

  test("closing stdin is use", () => {
    expect(observe().fromClient(binary(255, [0]))).toBe("use");
  });

  test("output counts as use, the empty frames at the start do not", () => {
    expect([1, 2, 3].map((channel) => observe().fromUpstream(binary(channel)))).toEqual(["idle", "idle", "idle"]);
    expect(observe().fromUpstream(binary(1, "x"))).toBe("use");
  });

  test("there is no status before the cluster has sent a complete one", () => {
    const observer = observe();
    expect(observer.finalStatus()).toBeUndefined();
    observer.fromUpstream(binary(3));
    expect(observer.finalStatus()).toBeUndefined();
    observer.fromUpstream(binary(3, '{"status":"Succ'));
    expect(observer.finalStatus()).toBeUndefined();
    observer.fromUpstream(binary(3, 'ess"}'));
    expect(observer.finalStatus()?.status).toBe("Success");
  });

  test("a status is read from pieces cut anywhere, with other channels in between", () => {
    const json = '{"status":"Failure","message":"käse 🧀"}';
    const bytes = new TextEncoder().encode(json);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const observer = observe();
      observer.fromUpstream(binary(3, [...bytes.subarray(0, cut)]));
      observer.fromUpstream(binary(1, '{"status":"Success"}'));
      observer.fromUpstream(binary(3, [...bytes.subarray(cut)]));
      expect(observer.finalStatus()?.message).toBe("käse 🧀");
    }
  });

  test("a status from the client or on stdout is ignored: nobody writes their own exit code", () => {
    const observer = observe();
    observer.fromClient(binary(3, '{"status":"Success"}'));
    observer.fromUpstream(binary(1, '{"status":"Success"}'));
    observer.fromUpstream('3{"status":"Success"}');
    expect(observer.finalStatus()).toBeUndefined();
  });

  test("an endless status takes bounded memory", () => {
    const observer = observe();
    observer.fromUpstream(binary(3, "x".repeat(64 * 1024)));
    observer.fromUpstream(binary(3, "x".repeat(64 * 1024)));
    expect(observer.finalStatus()).toBeUndefined();
  });

  test("a status is read in base64 too", () => {
    const observer = observe("v4.base64.channel.k8s.io");
    observer.fromUpstream(`3${btoa('{"status":"Success"}')}`);
    expect(observer.finalStatus()?.status).toBe("Success");
  });

  test("before v4 the error channel is plain text", () => {
    const observer = observe("channel.k8s.io");
    observer.fromUpstream(binary(3, "command terminated"));
    expect(observer.finalStatus()).toMatchObject({ status: "Failure", message: "command terminated" });
    expect(text(observer.goodbyeFrames("bye"))).toEqual([[3, "bye"]]);
  });

  describe.each([
    ["v5.channel.k8s.io", "status"],
    ["v4.channel.k8s.io", "status"],
    ["v4.base64.channel.k8s.io", "status"],
    ["v3.channel.k8s.io", "text"],
    ["v2.channel.k8s.io", "text"],
    ["channel.k8s.io", "text"],
    ["base64.channel.k8s.io", "text"],
    ["", "text"],
  ])("over %s, whose errors are a %s,", (name, format) => {
    const protocol = channelProtocol(name);
    if (!protocol) throw new Error(`${name} is no channel protocol`);

    /** What the kubelet writes at the end of a command (`ServeExec`), in pieces. */
    function observed(
      status: { readonly status: string; readonly message?: string; readonly [field: string]: unknown },
      isSuccess = false,
      cut = 40,
    ): MessageObserver {
      const observer = observe(name);
      const written = format === "status" ? JSON.stringify(status) : isSuccess ? "" : (status.message ?? "");
      for (let at = 0; at < written.length; at += cut) {
        const piece = new TextEncoder().encode(written.slice(at, at + cut));
        const message = encodeChannelFrame(protocol as ChannelProtocol, 3, piece);
        observer.fromUpstream(message);
      }
      return observer;
    }

    function exited(code: number, end: string) {
      const message = `command terminated with non-zero exit code: ${end}`;
      const details = { causes: [{ reason: "ExitCode", message: `${code}` }] };
      return { metadata: {}, status: "Failure", message, reason: "NonZeroExitCode", details };
    }

    test.each([
      [3, "error executing command [sh -c exit 3], exit code 3"],
      [137, `error executing command [sh -c ${"x; exit code 7 # é".repeat(500)}], exit code 137`],
      [126, "exit status 126"],
      [1, "Error executing in Docker Container: 1"],
    ])("the exit code is %d", (code, end) => {
      for (const cut of [1, 40, 100_000]) {
        const status = observed(exited(code, end), false, cut).finalStatus();
        expect(status && exitCodeOf(status)).toBe(code);
        expect(status?.message).toContain("command terminated with non-zero exit code: ");
      }
    });

    test("a command that could not run, or was killed, has a reason and no exit code", () => {
      const failure = { status: "Failure", reason: "InternalError", code: 500 };
      for (const message of [
        'Internal error occurred: error executing command in container: exec: "exit code 3": not found',
        "Internal error occurred: error attaching to container: container is in CONTAINER_EXITED state, exit code 3",
        "command terminated with non-zero exit code: signal: killed",
        "command terminated with non-zero exit code: exit code 3 of the last one, error executing command",
      ]) {
        const status = observed({ ...failure, message }).finalStatus();
        expect(status).toMatchObject({ status: "Failure", message });
        expect(status && exitCodeOf(status)).toBeUndefined();
      }
    });

    test("success is said by a Status, or before v4 by a normal close alone", () => {
      const observer = observed({ metadata: {}, status: "Success" }, true);
      const atClose = (code: number) => {
        const status = observer.finalStatus(code);
        return status && exitCodeOf(status);
      };
      expect(atClose(1000)).toBe(0);
      expect(atClose(1006)).toBe(format === "status" ? 0 : undefined);
      expect(observer.finalStatus()?.status).toBe(format === "status" ? "Success" : undefined);
    });

    test("a close without a word after output is success only before v4", () => {
      const observer = observe(name);
      observer.fromUpstream(encodeChannelFrame(protocol, 1, new TextEncoder().encode("out")));
      expect(observer.finalStatus(1000)?.status).toBe(format === "status" ? undefined : "Success");
    });
  });

  test("the goodbye frames are an error that kubectl prints, on a terminal after a new line", () => {
    const [error] = text(observe().goodbyeFrames("bye"));
    expect(error?.[0]).toBe(3);
    expect(JSON.parse(String(error?.[1]))).toMatchObject({ kind: "Status", status: "Failure", message: "bye" });
    const [line, shown, ...more] = text(observe("v5.channel.k8s.io", true).goodbyeFrames("bye"));
    expect([line, shown?.[0], more]).toEqual([[1, "\r\n"], 3, []]);
    // A browser, which may show the terminal alone.
    const [inBrowser] = observe("v4.base64.channel.k8s.io", true).goodbyeFrames("bye");
    expect(inBrowser).toBe(`1${btoa("\r\nbye\r\n")}`);
  });

  test("after the command's own Status the goodbye frames add no second one to the error channel", () => {
    const observer = observe("v5.channel.k8s.io", true);
    observer.fromUpstream(binary(3, '{"status":"Succ'));
    expect(text(observer.goodbyeFrames("bye")).map(([channel]) => channel)).toEqual([1, 3]);
    observer.fromUpstream(binary(3, 'ess"}'));
    expect(text(observer.goodbyeFrames("bye"))).toEqual([[1, "\r\nbye\r\n"]]);
  });

  test("a notice is a line of a terminal's output, after a new line unless nothing was shown; elsewhere of stderr", () => {
    const notice = { line: "hello" };
    const shownBy = (observer: Observer, more = {}) => text(observer.noticeFrames?.({ ...notice, ...more }) ?? []);
    const v5 = channelProtocol("v5.channel.k8s.io") as ChannelProtocol;
    const base64 = channelProtocol("v4.base64.channel.k8s.io") as ChannelProtocol;
    expect(shownBy(new ExecObserver(v5, true))).toEqual([[1, "\r\nhello\r\n"]]);
    expect(shownBy(new ExecObserver(v5, true), { isBeforeCommand: true })).toEqual([[1, "hello\r\n"]]);
    expect(shownBy(new ExecObserver(base64, true), { isBeforeCommand: true })).toEqual([`1${btoa("hello\r\n")}`]);
    expect(shownBy(new ExecObserver(v5, false, true), { isBeforeCommand: true })).toEqual([[2, "hello\n"]]);
    expect(shownBy(new ExecObserver(v5, false, true), { onlyTerminal: true })).toEqual([]);
    expect(shownBy(new ExecObserver(v5, false, false))).toEqual([]);
    expect(shownBy(new ExecObserver(v5, false, false), { isBeforeCommand: true })).toEqual([[2, "hello\n"]]);
  });

  test("an unknown protocol is relayed, and all of it counts as use", () => {
    const observer = observe("v9.channel.k8s.io");
    expect([observer.fromClient(binary(0)), observer.fromUpstream("x"), observer.fromClient("")]).toEqual([
      "use",
      "use",
      "idle",
    ]);
    expect([observer.finalStatus(), observer.goodbyeFrames("bye")]).toEqual([undefined, []]);
  });
});

describe("port-forward in a tunnel", () => {
  const observe = (onUnreadable: "end" | "continue" = "end") =>
    new MessageObserver("port-forward", TUNNEL, false, { onUnreadable });

  function bytesOf(...frames: SpdyFrame[]): Uint8Array {
    const headers = new HeaderBlockWriter();
    return Uint8Array.from(frames.flatMap((frame) => [...encodeFrame(frame, headers)]));
  }

  const open = (streamId: number, streamtype: string, request = "0"): SpdyFrame => ({
    type: "SYN_STREAM",
    streamId,
    associatedStreamId: 0,
    priority: 0,
    fin: false,
    unidirectional: false,
    headers: [
      ["streamtype", streamtype],
      ["port", "8080"],
      ["requestid", request],
    ],
  });
  const data = (streamId: number, length: number): SpdyFrame => ({
    type: "DATA",
    streamId,
    fin: false,
    data: new Uint8Array(length),
  });
  const message = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;

  test.each<[string, SpdyFrame, Observation]>([
    ["PING", { type: "PING", id: 1 }, "idle"],
    ["SETTINGS", { type: "SETTINGS", clearPersisted: false, settings: [] }, "idle"],
    ["WINDOW_UPDATE", { type: "WINDOW_UPDATE", streamId: 1, delta: 5 }, "idle"],
    ["GOAWAY", { type: "GOAWAY", lastStreamId: 1, status: 0 }, "idle"],
    ["RST_STREAM", { type: "RST_STREAM", streamId: 1, status: 5 }, "idle"],
    ["DATA without a byte", data(1, 0), "idle"],
    ["DATA", data(1, 1), "use"],
    ["a new connection", open(1, "data"), "use"],
  ])("%s is %s", (_, frame, observation) => {
    expect(observe().fromClient(message(bytesOf(frame)))).toBe(observation);
    if (frame.type !== "SYN_STREAM") expect(observe().fromUpstream(message(bytesOf(frame)))).toBe(observation);
  });

  test("a PING in single bytes is not use, data in single bytes is", () => {
    const uses = (bytes: Uint8Array) => {
      const observer = observe();
      return [...bytes].filter((byte) => observer.fromClient(Uint8Array.of(byte).buffer) === "use").length;
    };
    expect(uses(bytesOf({ type: "PING", id: 1 }))).toBe(0);
    expect(uses(bytesOf(data(1, 3)))).toBe(3);
  });

  test("the message goes to every open error stream, after the data of its connection has been ended", () => {
    const observer = observe();
    expect(observer.lingerMs).toBe(0);
    const opened = [open(1, "error"), open(3, "data"), open(5, "error", "1"), open(7, "error", "2")];
    observer.fromClient(message(bytesOf(...opened)));
    observer.fromUpstream(message(bytesOf({ type: "DATA", streamId: 5, fin: true, data: new Uint8Array(0) })));
    observer.fromClient(message(Uint8Array.of(0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 5)));
    const parser = new SpdyFrameParser();
    const frames = observer.goodbyeFrames("the end").flatMap((bytes) => parser.push(bytes as Uint8Array));
    expect(frames).toEqual([
      { type: "DATA", streamId: 1, fin: true, data: new TextEncoder().encode("the end") },
      { type: "DATA", streamId: 3, fin: true, data: new Uint8Array(0) },
    ]);
    expect(observer.lingerMs).toBeGreaterThan(0);
  });

  test("nothing is sent in the middle of a frame, where it would be taken for data", () => {
    const observer = observe();
    observer.fromClient(message(bytesOf(open(1, "error"))));
    observer.fromUpstream(message(bytesOf(data(3, 10)).subarray(0, 12)));
    expect(observer.goodbyeFrames("the end")).toEqual([]);
  });

  test.each(["fromClient", "fromUpstream"] as const)(
    "after a protocol error (%s) everything counts as use, and nothing throws",
    (side) => {
      const observer = observe("continue");
      expect(observer[side](message(Uint8Array.of(0x80, 9, 0, 6, 0, 0, 0, 4)))).toBe("use");
      expect(observer[side](message(bytesOf({ type: "PING", id: 1 })))).toBe("use");
      expect(observer[side](new ArrayBuffer(0))).toBe("idle");
      expect(observer[side]("text")).toBe("use");
    },
  );

  test.each(["kubectl-1.32.4", "kubectl-1.36.3"])(
    "in a capture of %s its connections are use, and its PING is not",
    (kubectl) => {
      const observer = observe();
      const uses = capture(`${kubectl}-port-forward`).map(({ dir, ms, bytes }) => ({
        ms,
        isUse: (dir === "to-server" ? observer.fromClient(bytes) : observer.fromUpstream(bytes)) === "use",
      }));
      expect(uses.some(({ isUse }) => isUse)).toBe(true);
      // The PING comes after 10 seconds, long after the last forwarded connection.
      const late = uses.filter(({ ms }) => ms > 9_000);
      expect(late.length).toBeGreaterThan(0);
      expect(late.filter(({ isUse }) => isUse)).toEqual([]);
    },
  );
});

describe("the older port-forward", () => {
  const observe = () => new MessageObserver("port-forward", "v4.channel.k8s.io", false, { ports: [8080] });

  test("announces a port on every channel, which is not use, and what follows is, even two bytes", () => {
    const observer = observe();
    expect([0, 1].map((channel) => observer.fromUpstream(binary(channel, [0x1f, 0x90])))).toEqual(["idle", "idle"]);
    expect(observer.fromUpstream(binary(0, [1, 2]))).toBe("use");
    expect(observer.fromClient(binary(0, "GET"))).toBe("use");
    expect(observer.fromClient(binary(0))).toBe("idle");
    expect([1, 2, 3].map((channel) => observer.fromClient(binary(channel, "dropped")))).toEqual([
      "idle",
      "idle",
      "idle",
    ]);
    expect(text(observer.goodbyeFrames("bye"))).toEqual([[1, "bye"]]);
  });

  test("has no goodbye frames before a channel is announced", () => {
    expect(observe().goodbyeFrames("bye")).toEqual([]);
  });
});

describe("a virtual machine's console", () => {
  test.each(["console", "vnc", "usbredir", "vsock", "vm-port-forward"] as const)("%s: every byte is use", (kind) => {
    const observer = new MessageObserver(kind, "plain.kubevirt.io", true);
    expect([observer.fromClient(binary(0)), observer.fromUpstream(binary(3, "x"))]).toEqual(["use", "use"]);
    expect(observer.finalStatus()).toBeUndefined();
    // kubectl needs 1000. These clients can be told in the close frame only.
    expect(observer.messageInCloseReason).toBe(true);
  });

  test("a console shows the message on its screen, the others cannot", () => {
    const goodbyeOf = (kind: "console" | "vnc") =>
      new MessageObserver(kind, "plain.kubevirt.io", true).goodbyeFrames("bye");
    expect(goodbyeOf("console")).toEqual([Uint8Array.from(new TextEncoder().encode("\r\nbye\r\n"))]);
    expect(goodbyeOf("vnc")).toEqual([]);
  });
});

describe("no capture of a real session", () => {
  const names = readdirSync(new URL("../vectors/captures", import.meta.url)).map((file) => file.replace(".jsonl", ""));

  test.each(names)("is misread: %s", (name) => {
    const kind = name.includes("port-forward") ? "port-forward" : "exec";
    const { chosen } = handshake(name);
    const observer = new MessageObserver(kind, chosen ?? "", false);
    for (const { dir, bytes } of capture(name)) {
      if (dir === "to-server") observer.fromClient(bytes);
      else observer.fromUpstream(bytes);
    }
    const status = observer.finalStatus();
    const expected = name.includes("port-forward") || /attach|no-container/.test(name) ? undefined : expect.anything();
    expect(status?.status).toEqual(expected);
  });
});

function lines(name: string) {
  const file = new URL(`../vectors/captures/${name}.jsonl`, import.meta.url);
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function handshake(name: string): { chosen: string | null } {
  return lines(name)[0].handshake;
}

function capture(name: string): { dir: string; ms: number; bytes: Message }[] {
  return lines(name)
    .slice(1)
    .filter(({ type }) => type === "binary" || type === "text")
    .map(({ dir, ms, type, base64 }) => {
      const bytes = Buffer.from(base64, "base64");
      return { dir, ms, bytes: type === "text" ? bytes.toString() : Uint8Array.from(bytes).buffer };
    });
}

test("what is particular to a kind of session is in its one description", () => {
  const elsewhere = globSync("durable/**/*.ts").filter((file) => file !== "durable/protocols/kinds.ts");
  const names = new RegExp(`"(?:${Object.keys(KINDS_OF_SESSIONS).join("|")})"`);
  expect(elsewhere.filter((file) => names.test(readFileSync(file, "utf8")))).toEqual([]);
});
